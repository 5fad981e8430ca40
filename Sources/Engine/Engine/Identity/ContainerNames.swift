/// Names of containers: which are allowed, and which are made up.
enum ContainerNames {
    /// The longest name accepted.
    static let maximumByteCount = 255

    /// A name as a user wrote it, without its slash.
    /// - Throws: `.invalidParameter` in Docker's words.
    static func validated(_ text: String) throws(EngineError) -> String {
        let name = text.hasPrefix("/") ? String(text.dropFirst()) : text
        let bytes = Array(name.utf8)
        guard bytes.count >= 2, bytes.count <= maximumByteCount, isAlphanumeric(bytes[0]),
            bytes.dropFirst().allSatisfy({ isAlphanumeric($0) || $0 == 0x5F || $0 == 0x2E || $0 == 0x2D })
        else {
            throw EngineError(.invalidParameter, "Invalid container name (\(text)), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        }
        return name
    }

    /// Whether a network can be called so: one letter is enough there, and there may be spaces inside.
    static func isValid(network name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard let first = bytes.first, bytes.count <= maximumByteCount, isAlphanumeric(first), bytes.last != 0x20 else { return false }
        return bytes.dropFirst().allSatisfy { isAlphanumeric($0) || [0x5F, 0x2E, 0x2D, 0x20].contains($0) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        default: false
        }
    }

    /// A made-up name, `adjective_surname`; from the second attempt on with a digit after it.
    static func random(attempt: Int, using generator: inout some RandomNumberGenerator) -> String {
        let adjective = adjectives[Int.random(in: 0..<adjectives.count, using: &generator)]
        let surname = surnames[Int.random(in: 0..<surnames.count, using: &generator)]
        let digit = attempt == 0 ? "" : String(Int.random(in: 0...9, using: &generator))
        return "\(adjective)_\(surname)\(digit)"
    }

    static let adjectives = words(
        """
        able agile alert ample apt ardent astute bold brave brisk bright calm candid careful cheerful civil clear clever
        cordial crisp curious daring decent deft devoted diligent direct eager earnest easy elated fair faithful famous
        fearless fluent fond frank free fresh friendly frugal gallant generous gentle genial gifted glad graceful grand
        grateful happy hardy hearty helpful honest hopeful humble ideal jolly jovial joyful just keen kind lively logical
        loyal lucid lucky mellow merry mighty mindful modest neat nifty nimble noble patient peaceful placid playful
        pleasant polite proud prudent quick quiet radiant rapid ready rested robust sage serene sharp silent sincere
        smart smooth snug solid sound spry steady sterling stoic sturdy sunny sure swift tactful tender thankful tidy
        tranquil trusty upbeat useful valiant vivid warm watchful willing winsome wise witty worthy zealous zesty
        """)

    /// People who watched birds, measured the sky, or built what computes.
    static let surnames = words(
        """
        abbott aiken alexander allen ampere anning armstrong audubon avogadro babbage bachman bacon baird banks bartram bateson
        beebe belding bell bewick bode bohr bolton bonaparte boole bose boyle bragg brahe brewer brewster briggs brunel buffon
        buller bunsen burbank byron cabot cajal cannon carnot carson cassin cassini catesby cavendish celsius chapman chappe
        church clarke cooper copernicus coulomb coues curie cuvier dalton darwin davy descartes dewar dijkstra doppler eckert
        eddington edison elton erasmus eratosthenes erlang euler faber faraday fermi fisher flamsteed floyd forster foucault
        fourier franklin fresnel fuller galilei galvani gauss geiger gibbs gilbert gilliard godel gould gray grinnell gunter
        haeckel halley hamming harrison heaviside henslow hertz hewitt hollerith hooke hopper horsfield hosking howard hubble
        hudson huxley huygens jacquard jardine jenner joule kalman kelvin kepler kirchhoff knuth kolmogorov lack lagrange
        lamarck lambert laplace latham lavoisier lear leibniz levaillant lilford lincoln linnaeus lorenz lovelace lyell
        mach magellan malpighi marconi markov maunder mauchly maxwell mayr mercator merian minsky mitchell moore morse
        murphy napier naumann newton nuttall ohm oresme ortelius pallas papin pascal peale pearson peirce pennant perkins
        peterson planck pliny poisson porter priestley rankine ray rayleigh reaumur ridgway romer ross rumford rutherford
        sabine scott selby shannon siemens skutch snell somerville stokes swainson sykes temminck thales thorburn tinbergen
        torricelli townsend turing turner vesalius viete vigors vogt volta wagler wallace watson watt wegener wheatstone
        white wied wilkins willughby wilson wirth wolf wollaston wren young zarudny zeeman zuse
        """)

    private static func words(_ text: String) -> [String] {
        text.split(whereSeparator: \.isWhitespace).map(String.init)
    }
}

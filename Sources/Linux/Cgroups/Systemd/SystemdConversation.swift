internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// A property of a unit.
package struct SystemdProperty: Equatable, Sendable {
    package let name: String
    package let value: BusValue

    package init(_ name: String, _ value: BusValue) {
        self.name = name
        self.value = value
    }
}

/// Talks with the systemd of a machine's or a user's units, over D-Bus. - Source: org.freedesktop.systemd1(5).
struct SystemdConversation {
    private static let name = "org.freedesktop.systemd1"
    private static let path = "/org/freedesktop/systemd1"
    private static let interface = "org.freedesktop.systemd1.Manager"

    private let bus: BusConnection

    /// - Parameter directory: `/run` for the machine's manager, `$XDG_RUNTIME_DIR` for a user's.
    /// - Throws: `unavailable` where neither systemd's own socket nor a bus answers.
    init(at directory: String) throws(CgroupError) {
        bus = try Self.connect(directory)
        _ = try call("Subscribe", [], "listen to systemd")
    }

    private static func connect(_ directory: String) throws(CgroupError) -> BusConnection {
        let busSocket: FilePath = directory == "/run" ? "/run/dbus/system_bus_socket" : FilePath("\(directory)/bus")
        do throws(BusError) {
            return try BusConnection.open(FilePath("\(directory)/systemd/private"), isBus: false, destination: name)
        } catch {
            do throws(BusError) {
                let bus = try BusConnection.open(busSocket, isBus: true, destination: name)
                let match = "type='signal',interface='\(interface)',member='JobRemoved'"
                _ = try bus.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", [.string(match)], to: "org.freedesktop.DBus")
                return bus
            } catch let second {
                throw CgroupError(
                    .unavailable, doing: "connect to systemd in \(directory)", reason: "\(error.reason); through its bus: \(second.reason)")
            }
        }
    }

    /// The cgroup that all units of the manager lie in, without a slash at either end; empty for the machine's.
    func controlGroup() throws(CgroupError) -> String {
        let answer: [BusValue]
        do throws(BusError) {
            answer = try bus.call(
                Self.path, "org.freedesktop.DBus.Properties", "Get", [.string(Self.interface), .string("ControlGroup")])
        } catch { throw refusal("ask systemd for its cgroup", error) }
        guard case .variant(.string(let text))? = answer.first else {
            throw CgroupError(.unavailable, doing: "ask systemd for its cgroup", reason: "it did not say")
        }
        return relativePath(of: text.split(separator: "/"))
    }

    /// Starts a transient unit and waits until it stands. One of the same name that failed, of a container that is gone, is forgotten.
    /// - Throws: `notEmpty` where another unit has the name.
    func start(_ unit: String, _ properties: [SystemdProperty]) throws(CgroupError) {
        let what = "start unit \(unit)"
        let body: [BusValue] = [.string(unit), .string("replace"), .properties(properties), .array(of: "(sa(sv))", [])]
        let answer: [BusValue]
        do throws(BusError) {
            do throws(BusError) { answer = try bus.call(Self.path, Self.interface, "StartTransientUnit", body) } catch {
                guard error.isOfUnitThatExists else { throw error }
                // Of no effect on what runs. That it is refused is no news: the unit may be gone by now, and if it is not, the next answer says so.
                do throws(BusError) { _ = try bus.call(Self.path, Self.interface, "ResetFailedUnit", [.string(unit)]) } catch {
                    guard case .refused = error else { throw error }
                }
                answer = try bus.call(Self.path, Self.interface, "StartTransientUnit", body)
            }
        } catch {
            throw error.isOfUnitThatExists ? CgroupError(.notEmpty, doing: what, reason: error.reason) : refusal(what, error)
        }
        let result = try finish(answer, what)
        if result != "done" { throw CgroupError(.refused, doing: what, reason: "systemd's job ended as \(result)") }
    }

    /// Changes properties of a unit until the next boot.
    func change(_ unit: String, _ properties: [SystemdProperty]) throws(CgroupError) {
        if properties.isEmpty { return }
        _ = try call("SetUnitProperties", [.string(unit), .boolean(true), .properties(properties)], "change unit \(unit)")
    }

    /// Moves a process of the caller's into a unit.
    /// - Parameter path: of a cgroup below the unit's, with a slash before it.
    func attach(_ process: Int32, to unit: String, below path: String = "") throws(CgroupError) {
        let body: [BusValue] = [.string(unit), .string(path), .array(of: "u", [.uint32(UInt32(bitPattern: process))])]
        _ = try call("AttachProcessesToUnit", body, "put process \(process) into unit \(unit)\(path)")
    }

    /// Stops a unit and forgets how it ended; one that is gone already is no error.
    func stop(_ unit: String) throws(CgroupError) {
        let what = "stop unit \(unit)"
        do throws(BusError) {
            let answer = try bus.call(Self.path, Self.interface, "StopUnit", [.string(unit), .string("replace")])
            do throws(CgroupError) { _ = try finish(answer, what) } catch { throw .refused(name: "", message: error.description) }
            _ = try bus.call(Self.path, Self.interface, "ResetFailedUnit", [.string(unit)])
        } catch {
            if case .refused(name: "org.freedesktop.systemd1.NoSuchUnit", _) = error { return }
            throw refusal(what, error)
        }
    }

    private func finish(_ answer: [BusValue], _ what: String) throws(CgroupError) -> String {
        guard case .objectPath(let job)? = answer.first else {
            throw CgroupError(.refused, doing: what, reason: "systemd named no job")
        }
        do throws(BusError) {
            // The job's number, path, unit and result.
            let removed = try bus.awaitSignal("JobRemoved") { $0.count >= 4 && $0[1] == .objectPath(job) }
            return removed[3].text ?? ""
        } catch { throw refusal(what, error) }
    }

    private func call(_ member: String, _ body: [BusValue], _ what: String) throws(CgroupError) -> [BusValue] {
        do throws(BusError) { return try bus.call(Self.path, Self.interface, member, body) } catch { throw refusal(what, error) }
    }

    private func refusal(_ what: String, _ error: BusError) -> CgroupError {
        let code: CgroupError.Code = if case .timedOut = error { .timedOut } else { .refused }
        return CgroupError(code, doing: what, reason: error.reason)
    }
}

extension BusError {
    fileprivate var isOfUnitThatExists: Bool {
        if case .refused(name: "org.freedesktop.systemd1.UnitExists", _) = self { true } else { false }
    }
}

extension BusValue {
    fileprivate static func properties(_ properties: [SystemdProperty]) -> BusValue {
        .array(of: "(sv)", properties.map { .structure([.string($0.name), .variant($0.value)]) })
    }
}

import Cgroups
import CoreTypes
import JSON
import OCISpec
import Rootfs
import RuntimeCore
import SystemPackage

func readJSON(_ bytes: [UInt8]) {
    func read(_ use: (inout JSONReader) throws(JSONError) -> Void) {
        do throws(JSONError) {
            var reader = try JSONReader(bytes)
            try use(&reader)
            try reader.finish()
        } catch { _ = "\(error)" }
    }
    read { reader throws(JSONError) in try reader.skipValue() }
    read { reader throws(JSONError) in _ = try reader.readRaw() }
    read { reader throws(JSONError) in _ = try reader.readString() }
    read { reader throws(JSONError) in _ = try reader.readInteger(Int32.self) }
    read { reader throws(JSONError) in _ = try reader.readStringDictionary() }
}

/// config.json, and what is planned from it.
func readRuntimeConfiguration(_ bytes: [UInt8]) {
    _ = try? RuntimeConfiguration.decode(bytes, isStrict: true)
    _ = try? LinuxResources.decode(bytes)
    _ = try? ProcessConfiguration.decode(bytes)
    guard let configuration = try? RuntimeConfiguration.decode(bytes) else { return }
    let again = try? RuntimeConfiguration.decode(configuration.encode())
    require(again == configuration, "config.json is another one once it was written")
    plan(configuration)
    guard let linux = configuration.linux, let id = try? ContainerID("fuzzed") else { return }
    _ = try? CgroupPath(linux.cgroupsPath, container: id)
    guard let resources = linux.resources else { return }
    for mode in [CgroupLayout.Mode.unified, .hybrid, .legacy] {
        let planner = CgroupPlanner(mode: mode, legacyControllers: mode == .unified ? [] : Set(CgroupController.allCases))
        _ = try? planner.plan(creating: resources)
    }
    _ = try? DeviceAccess(resources.devices)
}

private func plan(_ configuration: RuntimeConfiguration) {
    for pivoting in [true, false] { _ = try? planRootfs(for: configuration, bundle: FilePath("/bundle"), pivoting: pivoting) }
}

/// What the runtime left in its state directory, which another version or another hand may have written.
func readStateFiles(_ bytes: [UInt8]) {
    if let record = try? ContainerRecord.decode(bytes) {
        let again = try? ContainerRecord.decode(record.encoded)
        require(again?.encoded == record.encoded, "the record is another one once it was written")
    }
    if let state = try? ContainerState.decode(bytes) {
        let again = try? ContainerState.decode(state.encode())
        require(again == state, "the state is another one once it was written")
    }
    _ = try? ContainerRecord.Init.decode(bytes)
    _ = StageMessage(bytes)
}

/// A line for the destination, one for the type, one for the source, the others are options.
func readMountOptions(_ bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.count > 2 else { return }
    var configuration = RuntimeConfiguration(ociVersion: "1.0.2")
    configuration.root = RootConfiguration(path: "rootfs")
    configuration.mounts = [MountConfiguration(destination: lines[0], type: lines[1], source: lines[2], options: Array(lines[3...]))]
    var linux = LinuxConfiguration()
    linux.namespaces = [LinuxNamespace(.mount)]
    configuration.linux = linux
    plan(configuration)
}

func readCgroupPath(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let id = try? ContainerID("fuzzed") else { return }
    if let path = try? CgroupPath(text, container: id) {
        require(!path.components.contains("..") && !path.components.isEmpty, "a cgroup path leads up")
    }
    _ = try? SubordinatePaths(text.split(separator: "\n").map(String.init))
}

/// /etc/passwd of an image.
func readPayloadFiles(_ bytes: [UInt8]) {
    for userID in [0, 1000, UInt32.max] { _ = UserDatabase.home(of: userID, in: bytes) }
}

/// A property's value in an annotation, which is sent to systemd.
func readVariantText(_ bytes: [UInt8]) {
    guard let value = VariantText.parse(String(decoding: bytes, as: UTF8.self)) else { return }
    var message = BusMessage(.call)
    message.serial = 1
    message.body = [.structure([.string("Name"), .variant(value)])]
    let encoded = message.encoded
    guard let again = try? BusMessage(decoding: encoded) else { return require(false, "the message cannot be read") }
    // Not the values: a number that is none is not even like itself.
    require(again.encoded == encoded, "the value is another one once it was written")
    require(again.body.first?.signature == message.body.first?.signature, "the value has another type once it was written")
}

/// What systemd, or whoever stands at its socket, sends.
func readBusMessage(_ bytes: [UInt8]) {
    guard let message = try? BusMessage(decoding: bytes) else { return }
    let encoded = message.encoded
    guard let again = try? BusMessage(decoding: encoded) else { return require(false, "the message cannot be read once it was written") }
    require(again.encoded == encoded, "the message is another one once it was written")
}

internal import LinuxSyscalls
internal import Synchronization

/// Places between two steps, where a daemon may die. A build with `-DFAILPOINTS` kills itself at the one that it is told, and a test then
/// shows that the next daemon finds each object whole or not at all; any other build has nothing of this but the names.
enum Failpoint {
    case createNameReserved, createVolumesTaken, createFilesWritten, createRootMade, createRootPrepared, createVolumesFilled
    case createRecorded, createTold
    case startNetworkReserved, startVolumesMounted, startNetworkFilesWritten, startSharedMemoryMounted, startPathsPinned
    case startConfigurationWritten, startBundleWritten, startNamespaceMade, startFirewallOpened, startNamed, startNetworkPlugged
    case startShimLaunched, startShimConnected, startTaskCreated, startAttached, startTaskStarted, startRecorded, startTold
    case execRemembered, execRecorded, execAdded, execAttached, execStarted, execEnded, execEndRecorded, execDeleted
    case stopMarked, stopRestartsEnded, stopSignalled, stopKilled, stopEndSeen, stopTaskDeleted, stopShimShutDown, stopVolumesLeft
    case stopCablesNoted, stopBundleRemoved, stopUnnamed, stopNamespaceRemoved, stopFirewallClosed, stopNetworksLeft, stopRecorded
    case cablesLeft, cablesGone, cablesClosed
    case restartRecorded, restartedRecorded, lackRecorded, healthRecorded, lostEndRecorded
    case removeRecorded, removeLeftoversGone, removeRootGone, removeBundleGone, removeFilesGone, removeVolumesReleased
    case removeForgotten, removeTold
    case networkLinkNoted, networkLinkMade, networkFirewallOpened, networkRecorded
    case networkCablesGone, networkForgotten, networkBridgeGone, networkLinkRemoved
    case ownNamespacePinned, ownNamespaceNoted, ownNamespaceRecorded
    case connectReserved, connectRecorded, connectGuarded, connectCableMade, connectFirewallOpened, connectRouted, connectNamed
    case connectPlugged
    case disconnectRecorded, disconnectCableGone, disconnectFirewallClosed, disconnectRouted, disconnectUnplugged
    case disconnectRunRecorded
    case holdRecorded, holdPaused, holdUnpaused
    case pauseDone, pauseRecorded, unpauseDone, unpauseRecorded
    case volumeDrafted, volumeMade, volumeCopied, volumeBuried
    case restoreImagesStarted, restoreContainersFound, restoreUntoldRecorded, restoreUntoldTold, restoreNetworksStarted
    case restoreContainerAdopted, restoreContainersRestored
}

/// Ends the daemon here, at once, if it was told to.
@inline(__always)
func failpoint(_ place: Failpoint) {
    #if FAILPOINTS
        if Failpoints.armed.withLock({ $0 == place }) {
            // The process ends inside the call.
            try? sendSignal(9, toProcess: processID())
        }
    #endif
}

#if FAILPOINTS
    extension Failpoint: CaseIterable {}

    /// What a build with failpoints knows of them.
    package enum Failpoints {
        fileprivate static let armed = Mutex<Failpoint?>(nil)

        /// Every place, in the order of the list above.
        package static var names: [String] { Failpoint.allCases.map { "\($0)" } }

        /// From now on the daemon ends at this place. - Returns: false where there is none of that name.
        package static func arm(_ name: String) -> Bool {
            guard let place = Failpoint.allCases.first(where: { "\($0)" == name }) else { return false }
            armed.withLock { $0 = place }
            return true
        }
    }
#endif

/// Every verb: the table from which the command line, help pages and groups are made.
package let allVerbs: [Verb] =
    [
        attachVerb, commitVerb, containerInspectVerb, containerPruneVerb, copyVerb, createVerb, dfVerb, debugVerb, dialStdioVerb, diffVerb,
        eventsVerb,
        execVerb, exportVerb,
        historyVerb, imageInspectVerb, imagePruneVerb, imagesVerb, importVerb, infoVerb, inspectVerb, killVerb, loadVerb, loginVerb,
        logoutVerb, logsVerb, pauseVerb, portVerb, psVerb, pullVerb, pushVerb, renameVerb, restartVerb, rmVerb, rmiVerb, runVerb,
        saveVerb, searchVerb, startVerb, statsVerb, stopVerb, systemCheckVerb, systemPruneVerb, tagVerb, topVerb, unpauseVerb, updateVerb,
        versionVerb, volumeCreateVerb,
        volumeInspectVerb, volumeListVerb, volumePruneVerb, volumeRemoveVerb, waitVerb,
    ] + networkVerbs + volumeTransferVerbs + manifestVerbs + contextVerbs + contextTransferVerbs + completionVerbs

/// Docker's verbs that this program will learn, so that their names get a better answer than "unknown command".
let laterVerbs: Set<String> = [
    "build", "builder", "buildx", "compose", "plugin", "secret",
]

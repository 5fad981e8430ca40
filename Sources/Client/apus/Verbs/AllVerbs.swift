/// Every verb: the table from which the command line, help pages and groups are made.
package let allVerbs: [Verb] = [
    attachVerb, createVerb, execVerb, historyVerb, imagesVerb, infoVerb, inspectVerb, containerInspectVerb, imageInspectVerb,
    imagePruneVerb, killVerb, loginVerb, logoutVerb, logsVerb, psVerb, pullVerb, pushVerb, restartVerb, rmVerb, rmiVerb, runVerb,
    saveVerb, startVerb, stopVerb, tagVerb, versionVerb, waitVerb,
]

/// Docker's verbs that this program will learn, so that their names get a better answer than "unknown command".
let laterVerbs: Set<String> = [
    "build", "builder", "buildx", "commit", "compose", "context", "cp", "diff", "events", "export", "import", "load", "manifest",
    "network", "pause", "plugin", "port", "prune", "rename", "search", "stats", "system", "top", "unpause", "update", "volume",
]

"""What tests of ordinary users share."""

import json
import os
import shutil


def copy_for_all(runtime, folder):
    """The program where everybody may execute it: others may not look into the folder that it is built in."""
    path = os.path.join(folder, "apus-runtime")
    if not os.path.exists(path):
        shutil.copy(runtime.path, path)
        os.chmod(path, 0o755)
    return path


def hand_over(runtime, bundle, user):
    """Makes the bundle the user's, with a configuration of `spec --rootless` as `runtime`, run by that user, writes it."""
    for folder, folders, files in os.walk(bundle.path):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(folder, name), user, user, follow_symlinks=False)
    runtime("spec", "--rootless", "-b", bundle.path).ok()
    with open(os.path.join(bundle.path, "config.json"), encoding="utf-8") as file:
        bundle.config = json.load(file)
    bundle.config["process"]["terminal"] = False
    bundle.config["root"]["readonly"] = False
    return bundle

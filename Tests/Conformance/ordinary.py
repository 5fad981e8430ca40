"""Whose containers they are: what tests of ordinary users share, and of containers with users of their own."""

import json
import os
import shutil

import pytest

USER, FIRST_SUBID = 4242, 700000
MAPPED = 100000


def copy_for_all(runtime, folder):
    """The program where everybody may execute it: others may not look into the folder that it is built in."""
    path = os.path.join(folder, "apus-runtime")
    if not os.path.exists(path):
        shutil.copy(runtime.path, path)
        os.chmod(path, 0o755)
    return path


def own(user, *places):
    """Makes everything at and below these places the user's."""
    for place in places:
        os.chown(place, user, user, follow_symlinks=False)
        for folder, folders, files in os.walk(place):
            for name in [*folders, *files]:
                os.chown(os.path.join(folder, name), user, user, follow_symlinks=False)


def hand_over(runtime, bundle, user):
    """Makes the bundle the user's, with a configuration of `spec --rootless` as `runtime`, run by that user, writes it."""
    own(user, bundle.path)
    runtime("spec", "--rootless", "-b", bundle.path).ok()
    with open(os.path.join(bundle.path, "config.json"), encoding="utf-8") as file:
        bundle.config = json.load(file)
    bundle.config["process"]["terminal"] = False
    bundle.config["root"]["readonly"] = False
    return bundle


def ordinary_runtime(runtime, folder):
    """Our runtime, run by an ordinary user who is in the databases of a mount namespace of their own."""
    home = os.path.join(folder, "rootless")
    os.mkdir(home)
    os.chown(home, USER, USER)
    for name, line in [("passwd", f"ordinary:x:{USER}:{USER}::{home}:/bin/sh"), ("group", f"ordinary:x:{USER}:"),
                       ("subuid", f"{USER}:{FIRST_SUBID}:65536"), ("subgid", f"{USER}:{FIRST_SUBID}:65536")]:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(f"root:x:0:0::/root:/bin/sh\n{line}\n" if name == "passwd" else f"{line}\n")
    made = type(runtime)(copy_for_all(runtime, folder), home)
    binds = "; ".join(f"mount --bind {folder}/{name} /etc/{name}" for name in ("passwd", "group", "subuid", "subgid"))
    made.prefix = ["unshare", "-m", "sh", "-ec", f'{binds}; exec setpriv --reuid {USER} --regid {USER} --clear-groups "$@"', "sh"]
    return made


WHOSE = ["root's", "root's with own users", "an ordinary user's"]


class Owner:
    """Who a container belongs to: `root` is the host's number of the one who is root in it; `folder` is theirs."""

    def __init__(self, whose, bundle):
        self.whose, self.folder = whose, f"{bundle.path}-beside"
        self.root = {"root's": 0, "root's with own users": MAPPED, "an ordinary user's": USER}[whose]
        # What is tried many times as root is tried a share of that often by others.
        self.step = 1 if whose == "root's" else 4
        os.mkdir(self.folder)
        if whose == "root's with own users":
            bundle.map_users(MAPPED)
        elif whose == "an ordinary user's":
            bundle.map_users(USER)
            for kind in ("uidMappings", "gidMappings"):
                bundle.config["linux"][kind] = [{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": FIRST_SUBID, "size": 65536}]
            # No other's state may be below it.
            own(USER, bundle.path)
        self.take(self.folder)

    def take(self, *places):
        """Gives the owner what a test has made, so that no attack fails for want of a right to a file."""
        own(self.root, *places)

    def host_id(self, inside):
        """The host's number of a user of the container."""
        return inside if not self.root else FIRST_SUBID + inside - 1 if self.root == USER and inside else self.root + inside

    def remove(self):
        shutil.rmtree(self.folder)


def everywhere(test):
    """For tests: once for each of WHOSE."""
    ids = ["host's users", "own users", "an ordinary user"]
    return pytest.mark.parametrize("owner", WHOSE, ids=ids, indirect=True)(pytest.mark.usefixtures("owner")(test))

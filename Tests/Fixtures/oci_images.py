#!/usr/bin/env python3
"""Makes small images out of the busybox on this machine and pushes them to a registry, byte by byte under control.

As a program: oci_images.py HOST:PORT/NAME[:TAG] pushes the image that the demonstration runs."""

import functools
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import urllib.request

OCI = "application/vnd.oci.image"
MANIFEST, INDEX, CONFIG, LAYER = f"{OCI}.manifest.v1+json", f"{OCI}.index.v1+json", f"{OCI}.config.v1+json", f"{OCI}.layer.v1.tar+gzip"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
APPLETS = """arping ash awk basename cat chmod chown cp cut date dd df dirname du echo env expr false find grep head hostname httpd id ifconfig ip
kill killall ln ls mkdir mkfifo mknod mount mv nc nproc nslookup od ping ping6 printf ps pwd readlink reboot rm rmdir sed seq setsid sh sleep sort stat stty
sync tail tar tee test time timeout top touch tr true tty ulimit umount uname uniq usleep vi wc wget which whoami xargs yes""".split()
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:50:ann\nann:x:1000:\nnogroup:x:65534:\n"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name, kind=tarfile.REGTYPE, mode=0o644, link="", uid=0, gid=0, headers=None, device=(0, 0)):
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname = kind, mode, link
    member.uid, member.gid, member.mtime = uid, gid, 1_700_000_000
    member.devmajor, member.devminor = device
    member.pax_headers = headers or {}
    return member


def tar(members):
    """members: pairs of a TarInfo and its bytes (None for none)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in members:
            member.size = len(data) if data is not None else 0
            archive.addfile(member, io.BytesIO(data) if data is not None else None)
    return buffer.getvalue()


def files(contents):
    """A layer's members from {path: text or bytes}; directories are made as needed."""
    members, made = [], set()
    for path, data in contents.items():
        for depth in range(1, path.count("/") + 1):
            folder = "/".join(path.split("/")[:depth])
            if folder not in made:
                made.add(folder)
                members.append((entry(folder + "/", tarfile.DIRTYPE, 0o755), None))
        data = data.encode() if isinstance(data, str) else data
        members.append((entry(path, mode=0o755 if data[:2] in (b"#!", b"\x7fE") else 0o644), data))
    return members


@functools.cache
def busybox_layer():
    with open(shutil.which("busybox") or "/bin/busybox", "rb") as file:
        program = file.read()
    members = [(entry(folder, tarfile.DIRTYPE, 0o755), None)
               for folder in ("bin/", "dev/", "etc/", "home/", "proc/", "root/", "sys/", "usr/", "usr/bin/", "var/")]
    members.append((entry("tmp/", tarfile.DIRTYPE, 0o1777), None))
    members.append((entry("home/ann/", tarfile.DIRTYPE, 0o755, uid=1000, gid=1000), None))
    members.append((entry("bin/busybox", mode=0o755), program))
    members += [(entry(f"bin/{name}", tarfile.SYMTYPE, 0o777, "busybox"), None) for name in APPLETS]
    members += files({"etc/passwd": PASSWD, "etc/group": GROUP})[1:]
    return tar(members)


def with_libraries(*programs):
    """A layer that holds programs of this machine in /usr/bin, and in /lib64 what they are linked with."""
    paths = set(programs)
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        paths.update(re.findall(r"(/\S+) \(0x", listed))
    members, folders = [], set()
    for path in sorted(paths):
        place = f"usr/bin/{os.path.basename(path)}" if path in programs else f"lib64/{os.path.basename(path)}"
        for depth in range(1, place.count("/") + 1):
            folder = "/".join(place.split("/")[:depth]) + "/"
            if folder not in folders:
                folders.add(folder)
                members.append((entry(folder, tarfile.DIRTYPE, 0o755), None))
        with open(path, "rb") as file:
            members.append((entry(place, mode=0o755), file.read()))
    return tar(members)


# What of a package is only to be read, and what nothing here needs.
UNREAD = re.compile(r"/usr/share/(doc|man|locale|lintian|bug)/|.*/llvmjit")


def of_packages(*names, also=()):
    """A layer with the files of Debian's packages, installed here, and of `also`, and with the libraries that they are linked with: each at its place."""
    listed = subprocess.run(["dpkg", "-L", *names], capture_output=True, text=True, check=True).stdout.splitlines()
    paths = {path for path in [*listed, *also] if (os.path.islink(path) or os.path.isfile(path)) and not UNREAD.match(path)}
    contents = {}
    for path in paths:
        if not os.path.islink(path):
            with open(path, "rb") as file:
                contents[path] = file.read()
    programs = [path for path, data in contents.items() if data[:4] == b"\x7fELF"]
    linked = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    for path in set(re.findall(r"(/\S+) \(0x", linked)):
        paths.add(path)
        with open(path, "rb") as file:
            contents[path] = file.read()
    members, folders = [], set()
    for path in sorted(paths):
        for depth in range(2, path.count("/") + 1):
            folder = "/".join(path.split("/")[1:depth]) + "/"
            if folder not in folders:
                folders.add(folder)
                members.append((entry(folder, tarfile.DIRTYPE, 0o755), None))
        if path in contents:
            members.append((entry(path[1:], mode=os.stat(path).st_mode & 0o7777), contents[path]))
        else:
            members.append((entry(path[1:], tarfile.SYMTYPE, 0o777, os.readlink(path)), None))
    return tar(members)


@functools.lru_cache(maxsize=64)
def gzipped(data):
    """Most images of a file of tests stand on the same layer; how small it becomes is nothing to them."""
    return gzip.compress(data, 1, mtime=0)


class Image:
    """layers: uncompressed tars, the lowest first; compress: what each is stored as."""

    def __init__(self, layers, config=None, compress=gzipped, media_type=LAYER,
                 created="2026-01-02T03:04:05Z", system="linux", architecture=ARCHITECTURE):
        self.blobs = {}
        diff_ids, descriptors = [], []
        for layer in layers:
            blob = compress(layer)
            diff_ids.append(digest_of(layer))
            descriptors.append(self.add(media_type, blob))
        self.config = json.dumps({
            "architecture": architecture, "os": system, "created": created,
            "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"], **(config or {})},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created": created, "created_by": f"layer {number}"} for number in range(len(layers))],
        }).encode()
        self.id = digest_of(self.config)
        self.layers = descriptors
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self.add(CONFIG, self.config), "layers": descriptors,
        }).encode()
        self.digest = digest_of(self.manifest)

    def add(self, media_type, data):
        self.blobs[digest_of(data)] = data
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


    def write_layout(self, folder):
        """As an OCI image layout with this one image."""
        blobs = os.path.join(folder, "blobs", "sha256")
        os.makedirs(blobs)
        for digest, data in {**self.blobs, self.digest: self.manifest}.items():
            with open(os.path.join(blobs, digest[7:]), "wb") as file:
                file.write(data)
        index = {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": self.digest, "size": len(self.manifest)}]}
        for name, document in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                json.dump(document, file)


class Pusher:
    """A registry at `host`, spoken to as it likes; nobody asks who it is."""

    def __init__(self, host, authorization=None, scheme="http"):
        self.base, self.authorization = f"{scheme}://{host}/v2", authorization
        self.context = ssl._create_unverified_context() if scheme == "https" else None

    def request(self, method, url, data=None, headers=None):
        request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
        if self.authorization:
            request.add_header("Authorization", self.authorization)
        return urllib.request.urlopen(request, timeout=30, context=self.context)

    def push_blob(self, name, data):
        with self.request("POST", f"{self.base}/{name}/blobs/uploads/", b"") as answer:
            location = answer.headers["Location"]
        separator = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream"}
        self.request("PUT", f"{location}{separator}digest={digest_of(data)}", data, headers).close()

    def push_manifest(self, name, reference, data, media_type=MANIFEST):
        self.request("PUT", f"{self.base}/{name}/manifests/{reference}", data, {"Content-Type": media_type}).close()

    def manifest(self, name, reference="latest"):
        headers = {"Accept": f"{MANIFEST}, {INDEX}"}
        with self.request("GET", f"{self.base}/{name}/manifests/{reference}", headers=headers) as answer:
            return answer.read()

    def digest(self, name, reference="latest"):
        return digest_of(self.manifest(name, reference))

    def push(self, name, image, tag="latest"):
        for blob in image.blobs.values():
            self.push_blob(name, blob)
        self.push_manifest(name, tag, image.manifest)

    def push_index(self, name, images, tag="latest"):
        """images: pairs of a platform (a dictionary) and an image."""
        descriptors = []
        for target, image in images:
            for blob in image.blobs.values():
                self.push_blob(name, blob)
            self.push_manifest(name, image.digest, image.manifest)
            descriptors.append({"mediaType": MANIFEST, "digest": image.digest, "size": len(image.manifest), "platform": target})
        self.push_manifest(name, tag, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors}).encode(), INDEX)


def busybox(config=None, extra_layers=()):
    return Image([busybox_layer(), *extra_layers], config)


if __name__ == "__main__":
    host, _, rest = sys.argv[1].partition("/")
    name, _, tag = rest.partition(":")
    Pusher(host).push(name, busybox(), tag or "latest")

"""What crictl would say to containerd's CRI plugin, by gRPC: messages are spelled as in shim_client, after cri-api's runtime/v1/api.proto."""
import grpc
from processes import PATIENCE
from shim_client import message, parse

SERVICE = "/runtime.v1.RuntimeService/"
CREATED, RUNNING, EXITED = 0, 1, 2
POD, CONTAINER, NODE = 0, 1, 2


class CRI:
    """The runtime service of one containerd."""

    def __init__(self, socket):
        self.channel = grpc.insecure_channel(f"unix://{socket}")

    def close(self):
        self.channel.close()

    def call(self, method, timeout=60, **fields):
        return parse(self.channel.unary_unary(SERVICE + method)(message(**fields), timeout=timeout * PATIENCE, wait_for_ready=True))

    def run_sandbox(self, config, handler):
        return self.call("RunPodSandbox", f1=config, f2=handler)[1].decode()

    def create(self, sandbox, config, sandbox_config):
        return self.call("CreateContainer", f1=sandbox, f2=config, f3=sandbox_config)[1].decode()

    def start(self, id):
        self.call("StartContainer", f1=id)

    def state(self, id):
        """State and exit code."""
        status = parse(self.call("ContainerStatus", f1=id)[1])
        return status[3], status[7]

    def sandbox_is_ready(self, id):
        return parse(self.call("PodSandboxStatus", f1=id)[1])[3] == 0

    def exec(self, id, *words):
        """Standard output, standard error, exit code."""
        done = self.call("ExecSync", f1=id, f2=list(words), f3=30)
        return done[1] or b"", done[2] or b"", done[3]


def namespaces(pid):
    return message(f1=POD, f2=pid, f3=POD)


def sandbox_config(name, folder, pid=CONTAINER):
    security = message(f1=namespaces(pid))
    return message(f1=message(f1=name, f2=f"uid-{name}", f3="tests"), f2=name, f3=str(folder), f8=message(f2=security))


def container_config(name, image, *words, pid=CONTAINER):
    linux = message(f2=message(f3=namespaces(pid)))
    return message(f1=message(f1=name), f2=message(f1=image), f3=list(words), f11=f"{name}.log", f15=linux)

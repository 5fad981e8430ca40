extension DaemonOptions {
    /// The page of `--help`.
    static let help = """
        Usage: apusd [OPTIONS]

        The daemon of Apus: images and containers behind the Docker Engine API.

        Options:
          -H, --host URL                Where to serve: unix://PATH, tcp://HOST:PORT, or fd:// for sockets of the service
                                        manager; may be repeated (default unix://EXEC-ROOT/apus.sock)
              --tlsverify               Serve tcp:// to clients whose certificate --tlscacert vouches for, and to nobody else
              --tlscacert FILE          Authorities of clients' certificates
              --tlscert FILE            The daemon's certificate
              --tlskey FILE             Its key
              --tls                     Serve tcp:// by TLS, whoever the client is; needs --insecure-tcp
              --insecure-tcp            Serve tcp:// without --tlsverify: whoever reaches it is root here
              --docker-socket[=PATH]    Also answer where docker's clients look (/var/run/docker.sock)
              --metrics-addr HOST:PORT  Serve /metrics for Prometheus there, to anyone
              --config FILE             Settings, as TOML, or as JSON where the name ends so, by the names of these flags; empty for
                                        none (default /etc/apus/config.toml or daemon.json, where they are). SIGHUP reads it again
              --rootless                For an ordinary user: the daemon is root of a user namespace alone. Its places are then
                                        ~/.local/share/apus, $XDG_RUNTIME_DIR/apus and ~/.config/apus
              --validate                Only read the settings and say whether they are right
              --data-root DIR           Durable state (default /var/lib/apus)
              --exec-root DIR           State of this boot (default /run/apus)
          -p, --pidfile FILE            Where to write the process id
          -l, --log-level LEVEL         trace, debug, info, notice, warning, error or critical (default info)
              --log-format FORMAT       text or json (default text)
              --log-driver NAME         Where the output goes of containers that name no driver (default json-file)
              --log-opt NAME=VALUE      An option of that driver, as of docker run; may be repeated
          -G, --group GROUP             Who may use the daemon's sockets beside root (default apus, where there is that group)
              --min-api-version VERSION The oldest version of the API that is spoken (default 1.24)
              --label KEY=VALUE         What info tells of this machine; may be repeated
              --registry-mirror URL     A server that is asked for images of Docker Hub before it; may be repeated
              --max-concurrent-downloads N
                                        Layers on their way from registries at a time (default 3)
              --max-concurrent-uploads N
                                        Layers on their way to registries at a time (default 3)
              --max-download-attempts N Attempts in a row at a layer that bring nothing (default 4)
              --default-shm-size SIZE   Of /dev/shm where a container asks for none (default 64m)
              --default-ipc-mode MODE   private or shareable, where a container says nothing (default private)
              --default-cgroupns-mode MODE
                                        private or host, where a container says nothing (default private, with cgroup v1 host)
              --default-ulimit NAME=SOFT[:HARD]
                                        A limit of containers that do not name it; may be repeated
              --default-address-pool base=BLOCK,size=BITS
                                        Where networks get their addresses that ask for none; may be repeated
              --init                    Run an init in each container that does not ask for none
              --init-path PATH          That init (default: apus-init beside apusd)
              --cgroup-parent PATH      The control group that containers' are made in (default apus)
              --seccomp-profile PROFILE builtin, unconfined, or a file, for containers that name none (default builtin)
              --dns ADDRESS             A name server in place of the host's; may be repeated
              --dns-search DOMAIN       A search domain in place of the host's; may be repeated
              --dns-opt OPTION          An option of resolv.conf in place of the host's; may be repeated
              --host-gateway-ip ADDRESS What host-gateway means in --add-host (default: the host's on the default network)
          -b, --bridge none             Without the default network: containers that name none get no network
              --bip ADDRESS/BITS        The host's address on the default network, which says what block it has; --bip6 likewise
              --fixed-cidr BLOCK        Where containers on it get addresses of; --fixed-cidr-v6 is its block of IPv6
              --ipv6                    Give it addresses of IPv6
              --icc=false               Let its containers not reach each other but by published ports
              --ip-masq=false           Let what leaves it keep its containers' addresses
              --ip ADDRESS              Where its ports are published that name no address (default 0.0.0.0)
              --mtu BYTES               The length of its packets (default 1500)
              --firewall owned|shared   Whether others may change the daemon's tables of nftables while it lives: owned is not,
                                        from Linux 6.9 on (default owned)
              --userns-remap WHOM       Give each container a user namespace of its own, unless it asks for the host's, with ids of
                                        /etc/subuid and /etc/subgid: of USER[:GROUP], or default: of dockremap, else from
                                        1879048192 on
              --security-profile NAME   How much containers may that name no profile: as with Docker (default), or strict, with
                                        fewer rights and system calls, less sight of the host, and users of their own
              --no-new-privileges       Files that run as root, or with capabilities, give nothing in containers that do not say
                                        no-new-privileges=false
          -D, --debug                   As --log-level debug
              --runtime NAME=PATH       A further low-level runtime; may be repeated
              --default-runtime NAME    The runtime of containers that name none (default apus)
              --insecure-registry HOST  host:port or CIDR of a registry without TLS; may be repeated
              --layer-limit NAME=NUMBER What a layer of an image may cost: size in bytes unpacked (default 137438953472), ratio
                                        to its packed size (200) beyond the first bytes, which are ratio-free (268435456),
                                        entries (4000000), depth of paths (512), path in bytes (4095), names that are kept to
                                        its end in bytes (33554432), attributes of one entry in bytes (1048576), header of one
                                        entry in bytes (2097152), zstd-window in bytes (134217728); and what stays free on the
                                        disk whatever is unpacked: free in bytes (134217728), free-inodes (4096); may be repeated
              --image-limit NAME=NUMBER What else of an image, an archive or a registry is taken: configuration in bytes (default
                                        8388608), descriptors of a list (1024), json-depth of a document (16), indexes within
                                        each other (4), layers (128), archive-images (1024), archive-members (100000),
                                        archive-depth of their paths (16), archive-names in bytes (8388608), archive-links from one
                                        to another (8), the marker of a layout in bytes (65536), signatures (64), a signature in
                                        bytes (65536), tags (10000), tag-pages that list them (1000), redirects of a request (5),
                                        download-redirects of an import (10), what is kept of an error in bytes (65536), what is
                                        let pass of it unread in bytes (1048576), any other answer in bytes (4194304), the header
                                        of an answer in bytes (65536); may be repeated
              --manifest-limit BYTES    The longest manifest or index that is taken from a registry or an archive (default 4194304)
              --disk-reserve BYTES      Room that is kept for removals on a full disk; 0 for none (default 16777216)
              --registry-certs DIR      Where HOST[:PORT]/*.crt are authorities of a registry, *.cert with *.key client
                                        certificates, and hosts.toml its mirrors; may be repeated (default certs.d of /etc/apus,
                                        /etc/docker, /etc/containerd and /etc/containers)
              --registries-conf FILE    Mirrors, other places and blocked registries, as podman has them; empty for none
                                        (default /etc/containers/registries.conf)
              --signature-policy FILE   Which images are accepted, in the form of containers-policy.json; empty for all
                                        (default /etc/apus/policy.json where it is there)
              --registry-idle-timeout N Seconds that a registry may send less than 1 KiB (default 60)
              --registry-token-service HOST
                                        A token service that may be shown passwords of registries of other domains than its own;
                                        may be repeated
              --cdi-spec-dir DIR        Where documents of CDI devices lie; may be repeated (default /etc/cdi and /var/run/cdi)
              --http-proxy URL          Proxy for registries without TLS (default $HTTP_PROXY)
              --https-proxy URL         Proxy for registries with TLS (default $HTTPS_PROXY)
              --no-proxy LIST           Hosts reached without a proxy, separated by commas (default $NO_PROXY)
              --resolv-conf FILE        Where the host's name servers stand (default /etc/resolv.conf)
              --shim PATH               The apus-shim executable (default: beside apusd, then on PATH)
          -v, --version                 Print the version
          -h, --help                    Print this help

        """
}

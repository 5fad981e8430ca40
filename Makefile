# Everything a newcomer needs: `make demo` shows a container running, `make test` proves the rest.

PREFIX  ?= /usr/local
DESTDIR ?=
BINDIR   = $(DESTDIR)$(PREFIX)/bin
SHAREDIR   = $(DESTDIR)$(PREFIX)/share
LIBDIR   = $(DESTDIR)$(PREFIX)/lib
UNITS    = apusd.service apusd.socket apus-shutdown.service
SWIFT   ?= swift
PYTHON  ?= /usr/bin/python3
BUILD    = .build/release
PRODUCTS = apus apusd apus-shim apus-runtime apus-net apus-init

# What building and running needs, and what only tests and comparisons need.
BUILD_PACKAGES = build-essential ca-certificates git libarchive-dev libbz2-dev libcurl4-openssl-dev libisal-dev liblzma-dev libseccomp-dev \
                 libsqlite3-dev libssl-dev libzstd-dev pkg-config python3
LINT_PACKAGES  = git python3 python3-pytest
DEMO_PACKAGES  = busybox-static docker-registry jq curl iproute2
TEST_PACKAGES  = $(DEMO_PACKAGES) attr containerd criu crun docker.io file nftables openssh-server openssl podman procps python3-docker python3-grpcio python3-jsonschema python3-pexpect \
                 python3-pip python3-pytest python3-yaml qemu-system-common qemu-system-x86 redis-server runc skopeo strace uidmap umoci zstd
BENCH_PACKAGES = $(TEST_PACKAGES) hyperfine iperf3 isal
# Packages of PyPI that tests run.
TEST_PYTHON = schemathesis==4.32.5
# What only images of the nightly tests are made of.
NIGHTLY_PACKAGES = nginx-light postgresql-15
VM_PACKAGES    = qemu-system-x86 qemu-system-common util-linux python3 python3-pytest criu zstd xz-utils e2fsprogs xfsprogs

SWIFT_BUILD = $(SWIFT) build -c release
# The Swift library as the runtime is linked with it (docs/decisions/0034-the-swift-library-cut.md).
SWIFT_CORE  = $(CURDIR)/.build/swift-core/Swift.o
export APUS_SWIFT_CORE = $(SWIFT_CORE)
PYTEST      = $(PYTHON) -m pytest -q -p no:cacheprovider

.DEFAULT_GOAL := help
.PHONY: help deps deps-demo deps-lint deps-test deps-bench deps-vm deps-nightly swift-core build build-tests demo test lint format bench \
        weakened failpoints nightly fuzz conformance cgroup2 power-cuts install uninstall clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install what building needs (Debian packages; says where Swift comes from)
	@scripts/need-packages $(BUILD_PACKAGES)
	@scripts/need-swift $(SWIFT)

deps-demo: deps
	@scripts/need-packages $(DEMO_PACKAGES)

deps-test: deps ## Install what only tests need: peers, docker CLI, registry
	@scripts/need-packages $(TEST_PACKAGES)
	@PYTHON=$(PYTHON) scripts/need-python $(TEST_PYTHON)

deps-lint:
	@scripts/need-packages $(LINT_PACKAGES)
	@scripts/need-swift $(SWIFT)

deps-bench: deps
	@scripts/need-packages $(BENCH_PACKAGES)

deps-nightly: deps-vm
	@scripts/need-packages $(NIGHTLY_PACKAGES)

deps-vm: deps-test
	@scripts/need-packages $(VM_PACKAGES)

swift-core: deps
	@SWIFT=$(SWIFT) scripts/split-swift-core $(SWIFT_CORE)

build: swift-core ## Build everything, release configuration
	@scripts/time-step build $(SWIFT_BUILD)

build-tests: deps-test swift-core
	@scripts/time-step "build with tests" $(SWIFT_BUILD) --build-tests

demo: deps-demo build ## Pull an image from a registry, run it, look at it, clean up
	@scripts/demo

test: build-tests ## Build, and run all tests but those of the goals below
	@SWIFT="$(SWIFT)" PYTHON=$(PYTHON) scripts/run-tests

lint: deps-lint ## Formatting (strict) and the tidy rules
	$(SWIFT) format lint --strict --parallel --configuration .swift-format -r Sources Tests Package.swift
	scripts/list-features --check
	scripts/list-conformance --check
	$(PYTEST) Tests/Tidy

format: ## Format the sources in place
	$(SWIFT) format format -i --parallel --configuration .swift-format -r Sources Tests Package.swift

weakened: deps-test swift-core ## Show that the attack tests fail where the guard is taken away
	@SWIFT="$(SWIFT)" PYTHON=$(PYTHON) $(PYTHON) scripts/check-weakened

failpoints: deps-test ## Kill a daemon that is built for it at each of its failpoints, and look what the next one finds
	@SWIFT=$(SWIFT) PYTHON=$(PYTHON) scripts/check-failpoints

fuzz: deps ## Give the readers of outside bytes inputs for SECONDS=n (60) each, or TARGET=x alone
	@SWIFT=$(SWIFT) scripts/run-fuzz $(or $(SECONDS),60) $(TARGET)

nightly: export APUS_TEST_SECONDS = 0
nightly: deps-nightly build-tests ## What takes hours: ten thousand races each, a kill at every system call
	APUS_RACES=10000 APUS_KILLS=all $(PYTEST) Tests/Conformance/test_races.py Tests/Conformance/test_leftovers.py
	APUS_RACES=500 scripts/run-cgroup2-tests races
	APUS_CONNECTS=1000 $(PYTEST) Tests/API/test_ports.py -k many_times
	APUS_CONNECTS=10000 $(PYTEST) Tests/API/test_pressure.py -k S13
	APUS_EVENTS=1000000 $(PYTEST) Tests/API/test_events.py -k does_not_read
	APUS_CONTAINERS=500 $(PYTEST) Tests/API/test_host_shutdown.py -k P11
	APUS_STALL_SECONDS=60 APUS_CLIENTS=100 $(PYTEST) Tests/API/test_pressure.py -k P06
	APUS_NICE=19 APUS_LOOPS=64 $(PYTEST) Tests/API/test_starving.py
	APUS_FLOODS=20 APUS_FLOOD_SECONDS=600 APUS_LOG_BYTES=10000000000 $(PYTEST) Tests/API/test_log_floods.py
	APUS_KILL_ROUNDS=1000 $(PYTEST) Tests/API/test_daemon_death.py -k any_moment
	APUS_PULL_KILLS=100 $(PYTEST) Tests/API/test_registry_faults.py -k R10
	APUS_EXAMPLES=400 $(PYTEST) Tests/API/test_description.py -k schemathesis
	APUS_IMAGES=all $(PYTEST) Tests/API/test_official_images.py
	$(MAKE) power-cuts CUTS=50
	Tests/cgroup2-vm --mem 4000 --share "$(CURDIR)" --chdir "$(CURDIR)" --timeout 2400 -- sh -c 'modprobe -a loop quota_v2 xfs && \
		APUS_PATIENCE=15 $(PYTEST) -rs Tests/API/test_volume_sizes.py -k "size_says and not memory"'
	$(PYTEST) Tests/Peers

conformance: $(if $(RUNTIME),deps-test,build deps-test) ## Show runtime-spec's MUSTs of RUNTIME=path (ours, runc, crun) as TAP
	@$(PYTEST) Tests/Conformance -m spec --tap $(if $(RUNTIME),--runtime $(RUNTIME))

bench: deps-bench build ## Compare with runc, crun and dockerd, side by side
	@Benchmarks/run

cgroup2: deps-vm build-tests ## On pure cgroup v2 machines: the kernel's calls, the runtime, SELinux, RDMA, containers of the daemon; power cuts
	@scripts/run-cgroup2-tests
	$(PYTHON) Tests/PowerCut/power_cut.py 5

power-cuts: deps-vm build ## Cut a virtual machine's power CUTS=n (5) times in pulls, loads and commits, and look what is there
	$(PYTHON) Tests/PowerCut/power_cut.py $(or $(CUTS),5)

install: build ## Install to DESTDIR and PREFIX (/usr/local)
	install -d $(BINDIR)
	for product in $(PRODUCTS); do install -s -m 0755 $(BUILD)/$$product $(BINDIR)/$$product || exit 1; done
	ln -sf apus-shim $(BINDIR)/containerd-shim-apus-v2
	install -d $(SHAREDIR)/bash-completion/completions $(SHAREDIR)/zsh/site-functions $(SHAREDIR)/fish/vendor_completions.d $(SHAREDIR)/man/man1
	$(BUILD)/apus __generate bash > $(SHAREDIR)/bash-completion/completions/apus
	$(BUILD)/apus __generate zsh > $(SHAREDIR)/zsh/site-functions/_apus
	$(BUILD)/apus __generate fish > $(SHAREDIR)/fish/vendor_completions.d/apus.fish
	$(BUILD)/apus __generate man $(SHAREDIR)/man/man1
	install -d $(LIBDIR)/systemd/system $(LIBDIR)/sysusers.d
	for unit in $(UNITS); do sed 's,/usr/local/bin,$(PREFIX)/bin,' packaging/systemd/$$unit > $(LIBDIR)/systemd/system/$$unit || exit 1; done
	install -d $(LIBDIR)/systemd/user
	sed 's,/usr/local/bin,$(PREFIX)/bin,' packaging/systemd/apusd-rootless.service > $(LIBDIR)/systemd/user/apusd-rootless.service
	install -m 0644 packaging/systemd/apus.sysusers $(LIBDIR)/sysusers.d/apus.conf

uninstall: ## Remove what install put there
	for product in $(PRODUCTS) containerd-shim-apus-v2; do rm -f $(BINDIR)/$$product || exit 1; done
	rm -f $(SHAREDIR)/bash-completion/completions/apus $(SHAREDIR)/zsh/site-functions/_apus $(SHAREDIR)/fish/vendor_completions.d/apus.fish
	rm -f $(SHAREDIR)/man/man1/apus.1 $(SHAREDIR)/man/man1/apus-*.1
	for unit in $(UNITS); do rm -f $(LIBDIR)/systemd/system/$$unit || exit 1; done
	rm -f $(LIBDIR)/systemd/user/apusd-rootless.service
	rm -f $(LIBDIR)/sysusers.d/apus.conf

clean: ## Remove everything built
	rm -rf .build

"""A real Kerberos server (MIT krb5-kdc) on loopback, in a folder of its own.

Needs no root, and leaves nothing behind. `environment` is what its clients, and whoever accepts
their tickets, have to have in theirs: libkrb5 reads it whenever it is asked for something.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

REALM = "TEST.LAB"
SERVICE = "HTTP/localhost"
BINARIES = ("krb5kdc", "kdb5_util", "kadmin.local")
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where Debian puts them, for root only


def found(name: str) -> str | None:
    return shutil.which(name, path=PLACES)


def missing() -> str | None:
    """Why there can be none here; None: there can."""
    absent = [name for name in BINARIES if found(name) is None]
    return f"Debian's krb5-kdc is not installed: no {', '.join(absent)}" if absent else None


class Kdc:
    """One realm with its server. `folder` is empty, and its path short."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{folder}/tickets",
            # Whoever accepts tickets refuses one that it has seen.
            "KRB5RCACHENAME": f"file2:{folder}/replayed",
        }
        (folder / "krb5.conf").write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n"
            " dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n"
            " udp_preference_limit = 1\n"
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{self.port}\n }}\n"
            f"[domain_realm]\n localhost = {REALM}\n"
        )
        (folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{self.port}\n"
            f" kdc_tcp_listen = 127.0.0.1:{self.port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {folder}/principals\n"
            f"  key_stash_file = {folder}/stash\n  acl_file = {folder}/acl\n"
            "  default_principal_flags = +preauth\n }\n"
            f"[logging]\n kdc = FILE:{folder}/kdc.log\n"
        )

    def __enter__(self) -> Self:
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self.administer(f"addprinc -randkey {SERVICE}")
        self.keytab("service", SERVICE)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._server = subprocess.Popen(
            [str(found("krb5kdc")), "-n", "-r", REALM],
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.005)
        raise AssertionError("krb5kdc does not listen")

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(10)
            self._server = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """As a KDC behind a broken network: it takes connections and never answers."""
        self.stop()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            deaf.bind(("127.0.0.1", self.port))
            deaf.listen(16)
            yield

    def add(self, principal: str, *options: str) -> Path:
        """A new principal, and the keytab with its key."""
        self.administer(f"addprinc -randkey {' '.join(options)} {principal}")
        return self.keytab(principal, principal)

    def keytab(self, name: str, principal: str) -> Path:
        """A new key for the principal, and the keytab that has it; older ones are worth nothing."""
        path = self.folder / f"{name}.keytab"
        path.unlink(missing_ok=True)
        self.administer(f"ktadd -k {path} {principal}")
        return path

    def administer(self, query: str) -> None:
        self._run("kadmin.local", "-r", REALM, "-q", query)

    def told(self, word: str, principal: str) -> int:
        """How often it has said this of the principal: ISSUE, or PREAUTH_FAILED."""
        log = (self.folder / "kdc.log").read_text()
        about = [line for line in log.splitlines() if f"{principal}@{REALM} for " in line]
        return sum("AS_REQ" in line and word in line for line in about)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [str(found(name)), *arguments],
            env=os.environ | self.environment,
            check=True,
            capture_output=True,
        )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port

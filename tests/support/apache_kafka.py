"""Apache Kafka as its makers publish it: jars from Maven Central, one node in KRaft mode, on the Java."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

from support.own import OwnServer, Unavailable, free_port

VERSION: Final = "4.1.0"
_MIN_JAVA: Final = 17
_HEAP: Final = "512m"
_DOWNLOAD_S: Final = 400
QUESTION: Final = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff"  # ApiVersions v0

_POM: Final = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>io.driftline</groupId><artifactId>test-kafka</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
    </dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""

SETTINGS: Final = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "500",
    "log.segment.delete.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
}
"""What the tests need of any broker. Short sessions and short intervals save time; one node has one replica."""


def java() -> tuple[str, str]:
    """Path and version of a Java that runs Kafka."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin" if home else None)
    if found is None:
        raise Unavailable("there is no java (apt-get install openjdk-17-jre-headless)")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "([^"]+)"', told)
    if version is None or int(version[1].split(".")[0]) < _MIN_JAVA:
        raise Unavailable(f"{found} is not Java {_MIN_JAVA} or later")
    return found, version[1]


def jars() -> Path:
    """The folder of Kafka's jars, fetched once into the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "driftline" / f"kafka-{VERSION}"
    if cache.is_dir():
        return cache
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("there is no mvn to fetch Apache Kafka with (apt-get install maven)")
    making = cache.with_name(f"{cache.name}.{os.getpid()}")
    making.mkdir(parents=True)
    try:
        pom = making / "pom.xml"
        pom.write_text(_POM.format(version=VERSION))
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={making}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_S)
        if done.returncode:
            raise Unavailable(f"mvn cannot fetch Apache Kafka {VERSION}: {done.stdout[-500:].strip()}")
        making.rename(cache)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"mvn does not fetch Apache Kafka {VERSION} within {_DOWNLOAD_S} s") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return cache


class ApacheKafka(OwnServer):
    """One node, broker and controller at once, with its data in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._controller = free_port()
        self._directory = directory
        self._java, java_version = java()
        self._jars = jars()
        self.version = f"Apache Kafka {VERSION} (Maven Central, Java {java_version})"
        super().__init__("kafka", self._run, QUESTION, directory)
        self._format()

    def _run(self, port: int) -> list[str]:
        return self._jvm("kafka.Kafka", str(self._properties(port)))

    def _jvm(self, *arguments: str) -> list[str]:
        return [
            *(self._java, f"-Xmx{_HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self._jars}/*", *arguments),
        ]

    def _properties(self, port: int) -> Path:
        here, controller = f"127.0.0.1:{port}", f"127.0.0.1:{self._controller}"
        settings = SETTINGS | {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{here},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{here}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._directory / "data"),
        }
        file = self._directory / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return file

    def _format(self) -> None:
        # A leading dash would be taken for an option.
        cluster = urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        command = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties(self.port))]
        subprocess.run(self._jvm(*command), check=True, capture_output=True, timeout=60)

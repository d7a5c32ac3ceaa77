"""What `make up` says: what is done, how long after its beginning, and where everything is."""

from __future__ import annotations

import time

from tools.stack.parts import Part
from tools.stack.settings import Stack


class Clock:
    """Tells what is done, and how long after the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said: set[str] = set()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, what: str) -> None:
        if what not in self._said:
            print(f"  {what:<14}{self.seconds:6.1f} s", flush=True)
        self._said.add(what)


def print_places(stack: Stack, wanted: list[Part]) -> None:
    """Says where each part is, as whom to log in, and where the password lies."""
    urls = {part.name: part.url for part in wanted}
    print(f"  Airflow    {urls['api-server']}")
    print(
        f"             user {stack.settings['LAKEHOUSE_AIRFLOW_USER']}, password in {stack.secrets / 'airflow_password'}"
    )
    print(f"  Data Docs  {urls['docs']}")
    if "minio" in urls:
        print(f"  MinIO      {urls['minio']}")
        print(f"             user and password in {stack.secrets / 'minio_root_user'} and …_password")
    if "victoria" in urls:
        print(f"  Metrics    {urls['victoria']}, alerts {urls['vmalert']}")
    print(f"  Jupyter    {urls['jupyter']}")
    print(f"             token in {stack.secrets / 'jupyter_token'}")
    if stack.tls:
        print(f"  TLS        let your browser trust {stack.tls.folder / 'ca.pem'}")

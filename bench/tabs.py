"""Open browser tabs without browsers: each speaks Streamlit's websocket, clicks, and waits for the answer."""

import itertools
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import httpx
import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Click:
    """A page that somebody goes to: its name, as in its address, and what its address asks for."""

    page: str
    query: dict[str, str]


def open_tab(address: str, cookies: httpx.Cookies, verify: ssl.SSLContext | None) -> ClientConnection:
    """A websocket as the page of a signed-in person opens it."""
    secure, host = address.startswith("https"), urlsplit(address).netloc
    return connect(
        f"{'wss' if secure else 'ws'}://{host}/_stcore/stream",
        subprotocols=[Subprotocol("streamlit")],
        additional_headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
        origin=Origin(address),
        ssl=verify if secure else None,
        max_size=None,
        compression=None,
        open_timeout=ANSWER_SECONDS,
        # The keep-alive of fifty idle clients in one busy bench process would close sockets that a browser keeps.
        ping_interval=None,
    )


def click(tab: ClientConnection, to: Click) -> float:
    """Milliseconds from a click to the end of the script run that answers it.

    Raises:
        TimeoutError: no answer came.
    """
    asked = BackMsg()
    asked.rerun_script.page_name = to.page
    asked.rerun_script.query_string = urlencode(to.query)
    began = time.perf_counter()
    tab.send(asked.SerializeToString())
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(tab.recv(timeout=ANSWER_SECONDS))
        finished = answer.WhichOneof("type") == "script_finished"
        if finished and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            return 1000 * (time.perf_counter() - began)


def click_until(
    over: threading.Event, tab: ClientConnection, walk: Sequence[Click], pause: float, seed: int, times: list[float]
) -> None:
    """One person: a click, a while of looking, the next page of their walk, until it is over."""
    rng = np.random.default_rng(seed)
    with tab:
        for to in itertools.islice(itertools.cycle(walk), seed % len(walk), None):
            if over.wait(float(rng.uniform(0.5, 1.5)) * pause):
                return
            times.append(click(tab, to))

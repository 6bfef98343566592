"""tests/clients/python/test_pusher.py - the official Python library, unmodified.

Covers HTTP-10, HTTP-22, HTTP-33, HTTP-42, HTTP-61. The listening side is the client of the talks.
"""
import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

import pusher
import pusher.requests

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "talk"))
from wsclient import Client, Port  # noqa: E402

# A folder with cert.pem, key.pem and ca.pem: everything by https and wss.
TLS = os.environ.get("CLIENTS_TLS")


class Listener:
    def __init__(self, port):
        self.client = Client("listener", port, "/app/shop-key?protocol=7", [])
        self.client.finish_handshake(5)
        self.socket_id = json.loads(self.next()["data"])["socket_id"]

    def next(self):
        while True:
            item = self.client.next(5)
            if item[0] == "text":
                return item[1]
            if item[0] in ("close", "end"):
                return item

    def send(self, event, **data):
        self.client.send_text(json.dumps({"event": event, "data": data}))

    def subscribe(self, channel, auth=None):
        self.send("pusher:subscribe", channel=channel, **(auth or {}))
        answer = self.next()
        assert answer["event"] == "pusher_internal:subscription_succeeded", answer
        return json.loads(answer["data"])


class OfficialPythonLibrary(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            cls.port = Port(s.getsockname()[1])
        cls.folder = tempfile.TemporaryDirectory()
        with open(os.path.join(HERE, "..", "config.json"), encoding="utf-8") as f:
            config = dict(json.load(f), port=cls.port)
        if TLS:
            cls.port.secure = ssl.create_default_context(cafile=os.path.join(TLS, "ca.pem"))
            config["ssl"] = {"enabled": True, "cert_path": os.path.join(TLS, "cert.pem"),
                             "key_path": os.path.join(TLS, "key.pem")}
        path = os.path.join(cls.folder.name, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        cls.server = subprocess.Popen([os.environ["SOCKUDO"], "--config", path])
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", cls.port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        if TLS:  # the library trusts only a bundle of its own, whatever its options say
            pusher.requests.CERT_PATH = os.path.join(TLS, "ca.pem")
        cls.api = pusher.Pusher(app_id="4711", key="shop-key", secret="shop-secret",
                                host="127.0.0.1", port=int(cls.port), ssl=bool(TLS),
                                encryption_master_key_base64=base64.b64encode(b"k" * 32).decode())

    @classmethod
    def tearDownClass(cls):
        cls.server.send_signal(signal.SIGTERM)
        assert cls.server.wait(15) == 0
        cls.folder.cleanup()

    def setUp(self):
        self.listener = Listener(self.port)
        self.addCleanup(self.listener.client.wire.close)

    def test_trigger_http_22(self):
        self.listener.subscribe("news")
        self.assertEqual(self.api.trigger("news", "n", {"grün": [1, 2]}), {})
        event = self.listener.next()
        self.assertEqual(json.loads(event["data"]), {"grün": [1, 2]})
        self.assertEqual(self.api.trigger(["news", "a", "b"], "n", "text"), {})
        self.assertEqual(self.listener.next(), {"event": "n", "channel": "news", "data": "text"})

    def test_exclusion(self):
        self.listener.subscribe("ex")
        self.api.trigger("ex", "n", "1", self.listener.socket_id)
        self.api.trigger("ex", "n", "2")
        self.assertEqual(self.listener.next()["data"], "2")

    def test_batch_http_42(self):
        self.listener.subscribe("b")
        batch = [{"channel": "b", "name": "n", "data": str(i)} for i in range(10)]
        self.assertEqual(self.api.trigger_batch(batch), {})
        self.assertEqual([self.listener.next()["data"] for _ in range(10)],
                         [str(i) for i in range(10)])

    def test_private_and_presence(self):
        auth = self.api.authenticate("private-p", self.listener.socket_id)
        self.listener.subscribe("private-p", auth)
        auth = self.api.authenticate("presence-p", self.listener.socket_id,
                                     {"user_id": "u", "user_info": {"n": 1}})
        snapshot = self.listener.subscribe("presence-p", auth)
        self.assertEqual(snapshot["presence"], {"ids": ["u"], "hash": {"u": {"n": 1}}, "count": 1})
        self.assertEqual(self.api.users_info("presence-p"), {"users": [{"id": "u"}]})

    def test_reading_http_10(self):
        self.listener.subscribe("listed")
        self.assertEqual(self.api.channels_info("list"), {"channels": {"listed": {}}})
        self.assertEqual(self.api.channel_info("listed", ["subscription_count"]),
                         {"occupied": True, "subscription_count": 1})

    def test_encrypted(self):
        auth = self.api.authenticate("private-encrypted-e", self.listener.socket_id)
        self.listener.subscribe("private-encrypted-e", {"auth": auth["auth"]})
        self.api.trigger("private-encrypted-e", "n", {"a": 1})
        self.assertEqual(set(json.loads(self.listener.next()["data"])), {"nonce", "ciphertext"})

    def test_users_http_33_http_61(self):
        auth = self.api.authenticate_user(self.listener.socket_id, {"id": "u-7"})
        self.listener.send("pusher:signin", **auth)
        self.assertEqual(self.listener.next()["event"], "pusher:signin_success")
        self.listener.subscribe("#server-to-user-u-7")
        self.api.send_to_user("u-7", "letter", {"a": 1})
        self.assertEqual(self.listener.next()["channel"], "#server-to-user-u-7")
        self.api.terminate_user_connections("u-7")
        self.assertEqual(self.listener.next()["data"]["code"], 4009)
        self.assertEqual(self.listener.next()[:2], ("close", 4009))


if __name__ == "__main__":
    unittest.main()

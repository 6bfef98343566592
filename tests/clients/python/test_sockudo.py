"""tests/clients/python/test_sockudo.py - Sockudo's own Python client, unmodified, in its Pusher mode.

Covers clients.md CL-4: with the older protocol, which it calls 1 and says as 7, all that CL-1 names; with
its default, protocol 2, the refusal.
"""
import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import pusher
from sockudo_python import (ChannelAuthorizationData, ChannelAuthorizationOptions, SockudoClient, SockudoOptions,
                            SockudoTransport, UserAuthenticationData, UserAuthenticationOptions)

HERE = os.path.dirname(os.path.abspath(__file__))
WAIT_S = 20


def heard(where, event):
    """A future of the data of its next such event."""
    future = asyncio.get_running_loop().create_future()
    token = where.bind(event, lambda data, _: future.done() or future.set_result(data))
    future.add_done_callback(lambda _: hasattr(where, "unbind") and where.unbind(event, token))
    return asyncio.wait_for(future, WAIT_S)


def parsed(data):
    return json.loads(data) if isinstance(data, str) else data


class SockudoPython(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            cls.port = s.getsockname()[1]
        cls.folder = tempfile.TemporaryDirectory()
        with open(os.path.join(HERE, "..", "config.json"), encoding="utf-8") as f:
            config = dict(json.load(f), port=cls.port)
        path = os.path.join(cls.folder.name, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        cls.server = subprocess.Popen([os.environ["SOCKUDO"], "--config", path])
        end = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", cls.port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end, "the server does not listen"
                time.sleep(0.02)
        cls.api = pusher.Pusher(app_id="4711", key="shop-key", secret="shop-secret", host="127.0.0.1",
                                port=cls.port, ssl=False,
                                encryption_master_key_base64=base64.b64encode(b"k" * 32).decode())

    @classmethod
    def tearDownClass(cls):
        cls.server.send_signal(signal.SIGTERM)
        assert cls.server.wait(15) == 0
        cls.folder.cleanup()

    def client(self, user, protocol=1, **more):
        async def channel(request):
            member = {"user_id": user, "user_info": {}} if request.channel_name.startswith("presence-") else None
            said = self.api.authenticate(request.channel_name, request.socket_id, member)
            secret = said.get("shared_secret")
            return ChannelAuthorizationData(said["auth"], said.get("channel_data"),
                                            secret.decode() if isinstance(secret, bytes) else secret)

        async def signed_in(request):
            said = self.api.authenticate_user(request.socket_id, {"id": user, **more})
            return UserAuthenticationData(said["auth"], said["user_data"])
        client = SockudoClient("shop-key", SockudoOptions(
            cluster="mt1", protocol_version=protocol, force_tls=False, ws_host="127.0.0.1", ws_port=self.port,
            enabled_transports=[SockudoTransport.WS],
            channel_authorization=ChannelAuthorizationOptions(custom_handler=channel),
            user_authentication=UserAuthenticationOptions(custom_handler=signed_in)))
        self.addAsyncCleanup(client.disconnect)
        return client

    async def connected(self, user, **more):
        client = self.client(user, **more)
        up = heard(client, "connected")
        await client.connect()
        await up
        return client

    async def joined(self, client, name):
        channel = client.subscribe(name)
        await heard(channel, "pusher:subscription_succeeded")
        return channel

    async def test_cl_4_channels(self):
        anna = await self.connected("anna")
        for name in ("news", "private-a", "private-encrypted-a", "cache-a"):
            got = heard(await self.joined(anna, name), "n")
            await asyncio.to_thread(self.api.trigger, name, "n", {"on": name})
            self.assertEqual(parsed(await got), {"on": name})
        bert = await self.connected("bert")
        self.assertEqual(parsed(await heard(bert.subscribe("cache-a"), "n")), {"on": "cache-a"})
        await heard(bert.subscribe("cache-empty"), "pusher:cache_miss")

    async def test_cl_4_presence_and_client_events(self):
        anna, bert = await self.connected("anna"), await self.connected("bert")
        a = await self.joined(anna, "presence-a")
        added = heard(a, "pusher:member_added")
        b = await self.joined(bert, "presence-a")
        self.assertEqual((await added).id, "bert")
        self.assertEqual(b.members.count, 2)
        typing = heard(a, "client-typing")
        await b.trigger("client-typing", {"who": "bert"})
        self.assertEqual(parsed(await typing), {"who": "bert"})

    async def test_cl_4_sign_in_and_watch_list(self):
        anna = await self.connected("anna", watchlist=["bert"])
        offline = heard(anna.watchlist, "offline")
        await anna.signin()
        self.assertEqual((await offline)["user_ids"], ["bert"])
        online = heard(anna.watchlist, "online")
        bert = await self.connected("bert")
        await bert.signin()
        self.assertEqual((await online)["user_ids"], ["bert"])
        self.assertEqual(anna.user.user_id, "anna")

    async def test_cl_4_protocol_2_is_refused(self):
        client = self.client("anna", protocol=2)
        error = heard(client, "error")
        await client.connect()
        self.assertEqual(await error, "Unsupported protocol version: 2")  # the text of Close 4007


if __name__ == "__main__":
    unittest.main()

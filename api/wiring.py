"""Where the real parts are chosen and put together."""

from typing import Self

from flask import Flask
from msgspec.structs import replace

from api.app import create_app
from api.broker_link import BrokerLink
from api.drain import Drain
from api.live.feed import Feed
from api.room import EXTENSION, Room
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.store import Store
from telemetry.store.opening import open_store

# Gaps are counted over the whole store: no question of a person waits so long.
_COUNT_SECONDS = 120.0


class RunningApi:
    """The application with its store and its connection to the broker, from start to stop."""

    def __init__(self, app: Flask, store: Store, link: BrokerLink, feed: Feed) -> None:
        self.app = app
        self._store = store
        self._link = link
        self._feed = feed
        self._room: Room = app.extensions[EXTENSION]

    @classmethod
    def start(cls, settings: ApiSettings) -> Self:
        """Put the parts together and let the broker link connect; SettingError for a bad URL."""
        store = open_settings_store(settings)
        board = StatusBoard(settings.max_devices)
        app = create_app(settings, store, board)
        room: Room = app.extensions[EXTENSION]
        link = BrokerLink(settings, board, room.commands, room.samples)
        feed = Feed(settings, room.streams.hub, room.streams.figures)
        room.streams.start(feed.keep)
        link.start()
        patient = replace(settings, store_timeout_seconds=_COUNT_SECONDS)
        room.gaps.start(open_settings_store(patient))
        return cls(app, store, link, feed)

    @property
    def drain(self) -> Drain:
        """Whether it is on its way out."""
        return self._room.drain

    def stop(self) -> None:
        """Disconnect from the broker and let go of the store."""
        self._room.gaps.stop()
        self._room.streams.hub.stop()
        self._feed.stop()
        self._link.stop()
        self._store.close()


def open_settings_store(settings: ApiSettings) -> Store:
    """Return the store that the settings name, for reading; nothing is opened before a question."""
    return open_store(settings, read_only=True)

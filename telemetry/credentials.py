"""Passwords of devices, each derived from one fleet key, so that no list of them has to be kept."""

import hashlib
import hmac


def device_password(fleet_key: str, device: str) -> str:
    """Return a device's password: HMAC-SHA256 over its name under the fleet key, 64 hex digits."""
    return hmac.new(fleet_key.encode(), device.encode(), hashlib.sha256).hexdigest()

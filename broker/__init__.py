"""The broker: Mosquitto's configuration, access rules and credentials, as data and code."""

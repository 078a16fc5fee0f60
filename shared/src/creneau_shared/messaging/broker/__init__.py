"""The broker, as everything here uses it: `broker_of` in `choice` gives the one that the settings name.

clients.py     producers, consumers and administrators, the same for every broker that speaks Kafka's protocol
contract.py    `Broker`: what differs from one broker to another, and is asked of it
apache.py      Apache Kafka, and whoever does as it does
in_memory.py   the broker of a local run, and all that it does otherwise
"""

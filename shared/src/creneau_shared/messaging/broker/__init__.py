"""The broker: `broker_of` in `choice` gives the one that the settings name.

clients.py     producers, consumers and administrators, the same for every broker with Kafka's protocol
contract.py    `Broker`: the differences between brokers
apache.py      Apache Kafka, and compatible brokers
in_memory.py   the broker of a local run, and its differences from Apache Kafka
"""

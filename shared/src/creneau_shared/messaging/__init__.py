"""Events between services: an outbox that a relay publishes, an inbox that makes repeated events harmless.

- A change and its outbox row are one transaction (`outbox.append`).
- Outbox → Kafka: at least once, in order for each key (`relay.Relay`).
- Kafka → effect: inbox row and effect are one transaction, so that each effect happens exactly once
  (`consumer.Consumer`: the loop; `batches`: handling of polled records; `partitions`: where reading begins).
- An event that cannot be handled goes to `<topic>.<group>.dead` with the reason (`burial`, `dead_letter`), and operators
  see it listed (`buried`).
- By command: publish again (`retention.republish`), rebuild a replica (`rebuild.rebuild`), handle dead letters again
  (`replay.replay`).
"""

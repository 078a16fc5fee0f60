"""Events between services: an outbox that a relay publishes, an inbox that makes every repeat harmless.

- A change and its outbox row are one transaction (`outbox.append`).
- Outbox → Kafka: at least once, in order for each key (`relay.Relay`).
- Kafka → effect: inbox row and effect are one transaction, so that each effect comes exactly once
  (`consumer.Consumer`, the loop; `batches`, what is done with what it polls; `partitions`, from where it reads).
- What cannot be handled goes to `<topic>.<group>.dead` with the reason (`burial`, `dead_letter`), and operators see that
  it is there (`buried`).
- By command: publish again (`retention.republish`), build a replica anew (`rebuild.rebuild`), handle dead letters once
  more (`replay.replay`).
"""

"""Events between services: an outbox that a relay publishes, an inbox that makes every repeat harmless.

change and outbox row   one transaction                               `outbox.append` outbox → Kafka
at least once, in order for each key          `relay.Relay` Kafka → effect          inbox row and effect
in one transaction:      `consumer.Consumer` exactly once what fails              `<topic>.<group>.dead`,
with the reason       `dead_letter` by command              publish again, rebuild, handle dead letters
`retention.republish`, `rebuild.rebuild`, `dead_letter.replay`
"""

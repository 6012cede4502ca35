import OpenAIWire
import SemanticRouter
import Testing

@Suite struct EventSignalTests {
    private func rule(
        types: [String] = [],
        severities: [EventSignals.Severity] = [],
        codes: [String] = [],
        temporal: Bool = false
    ) -> EventSignals.Settings {
        var settings = EventSignals.Settings()
        settings.name = "it"
        settings.eventTypes = types
        settings.severities = severities
        settings.actionCodes = codes
        settings.isTemporal = temporal
        return settings
    }

    private func confidence(_ rule: EventSignals.Settings, _ text: String) throws -> Double? {
        let reading = EventSignals.reading(rule, try .asking(text))
        #expect(reading.value == nil)
        return reading.isPresent ? reading.confidence : nil
    }

    @Test("Upstream's examples: half for any criterion, half by the share of criteria")
    func examples() throws {
        let failure = rule(types: ["payment_failed"])
        #expect(try confidence(failure, "User reported a payment_failed error in checkout") == 1)
        #expect(try confidence(failure, "What is the weather like today?") == nil)
        #expect(try confidence(rule(severities: [.critical]), "CRITICAL: database connection lost") == 1)
        #expect(try confidence(rule(temporal: true), "Please handle this urgent request immediately") == 1)
        let all = rule(types: ["auth_error"], severities: [.high], codes: ["AUTH_FAIL"], temporal: true)
        #expect(try confidence(all, "auth_error detected: AUTH_FAIL code, high severity, urgent action required") == 1)
        #expect(try confidence(all, "auth_error, high") == 0.75)
        #expect(try confidence(all, "AUTH_FAIL") == 0.625)
        #expect(try confidence(all, "auth_error AUTH_FAIL now") == 0.875)
        #expect(
            try confidence(rule(types: ["payment_failed"], severities: [.critical]), "payment_failed occurred") == 0.75
        )
        #expect(try confidence(rule(types: ["Payment_Failed"]), "PAYMENT_FAILED in production") == 1)
        #expect(try confidence(rule(), "critical payment_failed TXN_DECLINE urgent") == nil)
    }

    @Test(
        "Names are whole words, in which `_` is a letter and no sign an expression",
        arguments: [
            ("payment_failed", "my_payment_failed", false),
            ("payment_failed", "payment_failed_again", false),
            ("payment_failed", "payment_failed.", true),
            ("payment_failed", "payment-payment_failed!", true),
            ("a.b", "a.b", true),
            ("a.b", "axb", false),
            ("a|b", "a", false),
            ("a|b", "(a|b)", true),
            ("disk full", "the DISK FULL alarm", true),
            ("disk full", "disk  full", false),
            ("x(y", "x(y", true),
        ]
    )
    func words(name: String, text: String, isFound: Bool) throws {
        #expect(try (confidence(rule(types: [name]), text) != nil) == isFound)
        #expect(try (confidence(rule(codes: [name]), text) != nil) == isFound)
    }

    @Test("Any of several names is one criterion")
    func severalNames() throws {
        let several = rule(types: ["down", "failed"], severities: [.low, .critical])
        #expect(try confidence(several, "it failed") == 0.75)
        #expect(try confidence(several, "it is down and failed") == 0.75)
        #expect(try confidence(several, "down: critical") == 1)
        #expect(try confidence(several, "Low") == 0.75)
        #expect(try confidence(several, "lower, highs") == nil)
    }

    @Test(
        "Words of urgency",
        arguments: [
            ("URGENT", true), ("immediate", true), ("immediately", false), ("asap!", true), ("the deadline", true),
            ("time-sensitive", true), ("time sensitive", true), ("timesensitive", false), ("now", true),
            ("know", false),
            ("critical_window", true), ("critical window", true), ("critical  window", false), ("soon", false),
        ]
    )
    func urgency(text: String, isUrgent: Bool) throws {
        #expect(try (confidence(rule(temporal: true), text) != nil) == isUrgent)
    }

    @Test("Rules are read from the policy, each for itself")
    func policy() throws {
        let rules = try SignalRules(
            """
            events:
              - {name: payment, event_types: [payment_failed], action_codes: [TXN_DECLINE]}
              - {name: severe, severities: [critical, high]}
              - {name: urgent, temporal: true}
            """
        )
        #expect(try rules.present("TXN_DECLINE: high, now") == ["payment", "severe", "urgent"])
        #expect(try rules.present("nothing special") == [])
        #expect(try rules.present("") == [])
        #expect(try rules.reading(.event, "payment", "txn_decline").confidence == 0.75)
    }
}

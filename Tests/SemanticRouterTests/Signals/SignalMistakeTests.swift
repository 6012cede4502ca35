import SemanticRouter
import Testing

/// What is said of rules that cannot be: the line, the place, and the way out.
@Suite struct SignalMistakeTests {
    private func expect(_ signals: String, _ mistakes: [String], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(SignalRules.mistakes(signals) == mistakes, sourceLocation: sourceLocation)
    }

    @Test("Keywords")
    func keywords() {
        expect(
            """
            keywords:
              - keywords: [a]
              - name: ""
                keywords: [a]
              - name: none
              - name: empty
                keywords: []
              - name: blank
                keywords: [a, ""]
            """,
            [
                "2: keywords[0].name: is required but missing",
                "3: keywords[1].name: must not be empty, found the text \"\"",
                "5: keywords[2].keywords: is required but missing",
                "7: keywords[3].keywords: must have from 1 to 10000 elements but has 0",
                "9: keywords[4].keywords: must not hold an empty keyword",
            ]
        )
    }

    @Test("Keywords' words and numbers")
    func keywordChoices() {
        expect(
            """
            keywords:
              - name: a
                keywords: [a]
                operator: or
              - name: b
                keywords: [a]
                method: bm52
              - name: c
                keywords: [a]
                ngram_arity: 9
                ngram_threshold: 1.5
                bm25_threshold: -1
                fuzzy_threshold: 101
              - name: d
                keyword: [a]
            """,
            [
                "4: keywords[0].operator: \"or\" is not one of AND, OR, NOR; did you mean \"OR\"?",
                "7: keywords[1].method: \"bm52\" is not one of regex, bm25, ngram, fuzzy; did you mean \"bm25\"?",
                "10: keywords[2].ngram_arity: must be from 0 to 8, found the number 9",
                "11: keywords[2].ngram_threshold: must be from 0 to 1, found the number 1.5",
                "12: keywords[2].bm25_threshold: must be at least 0, found the number -1",
                "13: keywords[2].fuzzy_threshold: must be from 0 to 100, found the number 101",
                "14: keywords[3].keywords: is required but missing",
                "15: keywords[3].keyword: is not a known key; did you mean \"keywords\"? Known here: name, description, operator, method, keywords, case_sensitive, fuzzy_match, fuzzy_threshold, bm25_threshold, ngram_threshold, ngram_arity",
            ]
        )
    }

    @Test("A keyword that is no expression, with the place in it")
    func expressions() {
        expect(
            """
            keywords:
              - name: a
                method: regex
                keywords: [fine, "a(b", 'x{2,1}', "C++", "(?=a)"]
              - name: b
                keywords: ["a(b"]
            """,
            [
                "4: keywords[0].keywords[1]: is not a regular expression: at byte 1 of the pattern: the group is not closed; add `)`, or write `\\(` for a parenthesis",
                "4: keywords[0].keywords[2]: is not a regular expression: at byte 1 of the pattern: `{2,1}` has its smaller count last; swap the counts",
                "4: keywords[0].keywords[4]: is not a regular expression: at byte 0 of the pattern: look-arounds such as `(?=` cannot be matched in linear time; match the surrounding text too, or write `\\b`, `^` or `$`",
            ]
        )
    }

    @Test("Structure")
    func structure() {
        expect(
            """
            structure:
              - name: a
                feature: {type: count, source: {type: regex}}
              - name: b
                feature:
                  type: count
                  source:
                    type: regex
                    pattern: "ab[c"
              - name: c
                feature: {type: count, source: {type: keyword_set}}
              - name: d
                feature: {type: sequence, source: {type: sequence}}
              - name: e
                feature: {type: sequence, source: {type: text_bytes}}
              - name: f
                feature: {type: counts, source: {type: text_byte, pattern: a}}
              - name: g
                feature: {source: {pattern: a}}
            """,
            [
                "3: structure[0].feature.source.pattern: regex needs a `pattern`",
                "9: structure[1].feature.source.pattern: at byte 2 of the pattern: the class is not closed; add `]`, or write `\\[` for a bracket",
                "11: structure[2].feature.source.keywords: keyword_set needs `keywords`",
                "13: structure[3].feature.source.sequences: sequence needs `sequences`",
                "15: structure[4].feature.source.type: a sequence feature and a sequence source belong together",
                "17: structure[5].feature.type: \"counts\" is not one of count, exists, density, sequence; did you mean \"count\"?",
                "17: structure[5].feature.source.type: \"text_byte\" is not one of regex, keyword_set, sequence, text_bytes; did you mean \"text_bytes\"?",
                "19: structure[6].feature.type: is required but missing",
                "19: structure[6].feature.source.type: is required but missing",
            ]
        )
    }

    @Test("What is left out of a feature is asked for")
    func incompleteFeatures() {
        expect(
            "conversation: [{name: a}, {name: b, feature: {type: exists}}]",
            [
                "1: conversation[0].feature.type: is required but missing",
                "1: conversation[0].feature.source.type: is required but missing",
                "1: conversation[1].feature.source.type: is required but missing",
            ]
        )
        let structure = SignalRules.mistakes("structure: [{name: a}, {name: b, feature: {type: count}}]")
        #expect(structure.contains("1: structure[0].feature.type: is required but missing"))
        #expect(structure.contains("1: structure[1].feature.source.type: is required but missing"))
    }

    @Test("Bounds")
    func predicates() {
        expect(
            """
            structure:
              - name: a
                feature: {type: count, source: {type: text_bytes}}
                predicate: {}
              - name: b
                feature: {type: count, source: {type: text_bytes}}
                predicate: {gt: 5, lt: 5}
              - name: c
                feature: {type: count, source: {type: text_bytes}}
                predicate: {gte: 5, lte: 4}
              - name: d
                feature: {type: count, source: {type: text_bytes}}
                predicate: {gt: 1, gte: 2}
              - name: e
                feature: {type: count, source: {type: text_bytes}}
                predicate: {lt: 1, lte: 2}
              - name: f
                feature: {type: count, source: {type: text_bytes}}
                predicate: {gt: many}
              - name: g
                feature: {type: count, source: {type: text_bytes}}
                predicate: {above: 1}
            """,
            [
                "4: structure[0].predicate: needs a bound: gt, gte, lt or lte",
                "7: structure[1].predicate: no number is both above 5.0 and below 5.0",
                "10: structure[2].predicate: no number is both above 5.0 and below 4.0",
                "13: structure[3].predicate.gte: has both gt and gte; keep one",
                "16: structure[4].predicate.lte: has both lt and lte; keep one",
                "19: structure[5].predicate.gt: expected a number, found the text \"many\"",
                "22: structure[6].predicate.above: is not a known key; known here: gt, gte, lt, lte",
            ]
        )
        expect(
            "conversation: [{name: a, feature: {type: count, source: {type: message}}, predicate: {gte: 2, lt: 2}}]",
            [
                "1: conversation[0].predicate: no number is both above 2.0 and below 2.0"
            ]
        )
    }

    @Test("Context")
    func context() {
        expect(
            """
            context:
              - {name: a, min_tokens: abc}
              - {name: b, min_tokens: 5K, max_tokens: 1K}
              - {name: c}
              - {name: d, min_tokens: 1K, max_tokens: 1K}
              - {min_tokens: 1K}
            """,
            [
                "2: context[0].min_tokens: expected a number of tokens such as 1500, 32K or 1M, found the text \"abc\"",
                "3: context[1].max_tokens: must not be below min_tokens",
                "4: context[2]: needs `min_tokens` or `max_tokens`",
                "6: context[4].name: is required but missing",
            ]
        )
    }

    @Test("Conversation")
    func conversation() {
        expect(
            """
            conversation:
              - {name: a, feature: {type: counts, source: {type: message}}}
              - {name: b, feature: {type: count, source: {type: messages}}}
              - {name: c, feature: {type: count, source: {type: message, role: users}}}
              - {name: d, feature: {source: {}}}
              - {name: e, feature: {type: exists, source: {type: flow_tool_state}}}
            """,
            [
                "2: conversation[0].feature.type: \"counts\" is not one of count, exists; did you mean \"count\"?",
                "3: conversation[1].feature.source.type: \"messages\" is not one of message, tool_definition, tool_choice_required, tool_choice_none, assistant_tool_call, assistant_tool_cycle, active_tool_loop, image_content; did you mean \"message\"?",
                "4: conversation[2].feature.source.role: \"users\" is not one of user, assistant, system, tool, developer, non_user; did you mean \"user\"?",
                "5: conversation[3].feature.type: is required but missing",
                "5: conversation[3].feature.source.type: is required but missing",
                "6: conversation[4].feature.source.type: \"flow_tool_state\" is not one of message, tool_definition, tool_choice_required, tool_choice_none, assistant_tool_call, assistant_tool_cycle, active_tool_loop, image_content",
            ]
        )
    }

    @Test("Language")
    func language() {
        expect(
            "language:\n  - {name: zho}\n  - {name: EN}\n  - {name: xx}\n  - {name: en, threshold: 2}\n  - {threshold: 0.5}",
            [
                "2: language[0].name: \"zho\" is not one of af, am, ar, az, be, bg, bn, bo, bs, ca, cs, cy and 75 more; did you mean \"zh\"?",
                "3: language[1].name: \"EN\" is not one of af, am, ar, az, be, bg, bn, bo, bs, ca, cs, cy and 75 more; did you mean \"en\"?",
                "4: language[2].name: \"xx\" is not one of af, am, ar, az, be, bg, bn, bo, bs, ca, cs, cy and 75 more; did you mean \"xh\"?",
                "5: language[3].threshold: must be from 0 to 1, found the number 2",
                "6: language[4].name: is required but missing",
            ]
        )
    }

    @Test("Metadata")
    func metadata() {
        expect(
            """
            metadata:
              - {name: a, predicate: {exists: true}}
              - {name: b, key: k}
              - {name: c, key: k, predicate: {}}
              - {name: d, key: k, predicate: {equals: a, exists: true}}
              - {name: e, key: "", predicate: {exists: maybe}}
            """,
            [
                "2: metadata[0].key: is required but missing",
                "3: metadata[1].predicate: is required but missing",
                "4: metadata[2].predicate: needs exactly one of equals, in, exists",
                "5: metadata[3].predicate: needs exactly one of equals, in, exists",
                "6: metadata[4].key: must not be empty, found the text \"\"",
                "6: metadata[4].predicate.exists: expected true or false, found the text \"maybe\"",
            ]
        )
    }

    @Test("Events")
    func events() {
        expect(
            """
            events:
              - {name: a}
              - {name: b, severities: [critcal]}
              - {event_types: [x]}
              - {name: c, temporal: soon}
            """,
            [
                "2: events[0]: needs event_types, severities, action_codes or temporal",
                "3: events[1].severities[0]: \"critcal\" is not one of critical, high, medium, low; did you mean \"critical\"?",
                "4: events[2].name: is required but missing",
                "5: events[3].temporal: expected true or false, found the text \"soon\"",
            ]
        )
    }

    @Test("Role bindings")
    func roles() {
        expect(
            """
            role_bindings:
              - {name: a, role: r}
              - {name: b, role: r, subjects: []}
              - {name: c, role: r, subjects: [{kind: Users, name: x}]}
              - {name: d, role: r, subjects: [{kind: User, name: ""}]}
              - {name: e, role: "", subjects: [{name: x}]}
              - {role: r, subjects: [{kind: Group, name: x}]}
            """,
            [
                "2: role_bindings[0].subjects: is required but missing",
                "3: role_bindings[1].subjects: must have at least 1 elements but has 0",
                "4: role_bindings[2].subjects[0].kind: \"Users\" is not one of User, Group; did you mean \"User\"?",
                "5: role_bindings[3].subjects[0].name: must not be empty, found the text \"\"",
                "6: role_bindings[4].role: must not be empty, found the text \"\"",
                "6: role_bindings[4].subjects[0].kind: is required but missing",
                "7: role_bindings[5].name: is required but missing",
            ]
        )
    }

    @Test("Two rules of a kind with one name, and a name that would end a header")
    func names() {
        expect(
            """
            keywords:
              - {name: a, keywords: [x]}
              - {name: a, keywords: [y]}
            context:
              - {name: a, min_tokens: 1}
            metadata:
              - {name: "a\\nb", key: k, predicate: {exists: true}}
            """,
            [
                "3: keywords[1].name: \"a\" is declared twice",
                "7: metadata[0].name: must not hold control characters, found the text \"a b\"",
            ]
        )
    }
}

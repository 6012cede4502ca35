package import ConfigKit
import OpenAIWire

/// Looks at who asks: roles are bound to users and groups.
///
/// Identities are what authentication or a trusted hop says, never what a client claims; a request of nobody known has
/// no role.
package struct RoleSignals: SignalKind {
    package enum SubjectKind: String, CaseIterable, ConfigValue {
        case user = "User"
        case group = "Group"

        package static func decode(_ node: ConfigNode, with decoder: inout ConfigDecoder) -> SubjectKind? {
            guard let word = node.text,
                let kind = allCases.first(where: { $0.rawValue.lowercased() == word.lowercased() })
            else {
                decoder.unknown(node, among: allCases.map(\.rawValue))
                return nil
            }
            return kind
        }
    }

    package struct Subject: Configurable, Equatable {
        package var kind = SubjectKind.user
        package var name = ""

        package init() {}

        package static let schema = Schema<Self>("subject", "A user or a group.") {
            Field("kind", \.kind, "Which of the two.").required()
            Field("name", \.name, "Its name, exactly as identities have it.").required().notEmpty()
        }
    }

    package struct Settings: SignalSettings {
        package var name = ""
        package var description = ""
        package var role = ""
        package var subjects: [Subject] = []

        package init() {}

        package var signalName: String { role }

        package static let schema = Schema<Self>("role binding", "A role and who has it.") {
            Field("name", \.name, "The binding's name, for people.").required().notEmpty()
            Field("description", \.description, "For people.")
            Field("role", \.role, "The name that rules use with `type: authz`.", example: "admin").required().notEmpty()
                .headerSafe()
            Field("subjects", \.subjects, "Who has the role: any of these.").required().count(1...)
        }
    }

    package static let type = SignalType.authz
    package static let summary = "Roles of who asks."

    package let names: [String]
    private let bindings: [Settings]

    package init(_ rules: [Settings]) {
        bindings = rules
        var seen: Set<String> = []
        names = rules.map(\.role).filter { seen.insert($0).inserted }
    }

    package func evaluate(_ prompt: Prompt) -> [SignalReading] {
        let identity = prompt.identity
        return names.map { role in
            let isHeld = bindings.contains { binding in
                binding.role == role
                    && binding.subjects.contains { subject in
                        switch subject.kind {
                        case .user: subject.name == identity.user
                        case .group: identity.groups.contains(subject.name)
                        }
                    }
            }
            return isHeld ? .present() : .absent
        }
    }
}

/// Keeps secrets out of logs: knows which header and metadata names carry them.
package enum Redaction {
    /// What is shown instead of a secret.
    package static let replacement = "[redacted]"

    /// True if the values of `name` must not be shown: credentials, cookies, keys and tokens by any usual spelling.
    ///
    /// The name is read as words, split at every character that is no letter or digit, so that `prompt_tokens` and
    /// `x-monkey` are shown while `X-API-Key`, `openai_api_key` and `set-cookie` are not.
    package static func isSecret(_ name: String) -> Bool {
        let words = name.lowercased().split { !$0.isLetter && !$0.isNumber }
        guard let last = words.last else { return false }
        if words.contains(where: { secretWords.contains(String($0)) }) { return true }
        switch last {
        case "key":
            return words.count == 1 || words.dropLast().contains { keyKinds.contains(String($0)) }
        case "token":
            return words.count == 1 || words.dropLast().contains { tokenKinds.contains(String($0)) }
        default:
            return false
        }
    }

    /// Headers as they may be shown, in their order.
    package static func headers(
        _ headers: some Sequence<(name: String, value: String)>
    ) -> [(name: String, value: String)] {
        headers.map { (name: $0.name, value: isSecret($0.name) ? replacement : $0.value) }
    }

    private static let secretWords: Set<String> = [
        "authorization", "authentication", "cookie", "cookies", "password", "passwd", "secret", "secrets", "credential",
        "credentials", "apikey", "bearer", "signature",
    ]
    private static let keyKinds: Set<String> = [
        "api", "access", "private", "auth", "subscription", "signing", "account",
    ]
    private static let tokenKinds: Set<String> = [
        "auth", "access", "refresh", "session", "security", "csrf", "xsrf", "id", "api", "hf",
    ]
}

import ConfigKit
import Testing

/// Reading a document of somebody who may see neither the environment nor files.
@Suite("Unprivileged reading")
struct UnprivilegedTests {
    private struct Settings: Configurable {
        var name = ""
        var port = Port(1)
        var key: Secret?

        static let schema = Schema<Self>("settings", "For these tests.") {
            Field("name", \.name, "A text.")
            Field("port", \.port, "A number.")
            Field("key", \.key, "A secret.")
        }
    }

    private func settings(_ text: String) -> ConfigResult<Settings> {
        let options = DecodingOptions(environment: ["NAME": "known", "PORT": "9"]).unprivileged
        return Settings.parse(text, options: options)
    }

    @Test(
        "Variables are taken for their defaults, or for the text that they are",
        arguments: [
            ("${NAME}", "${NAME}"), ("a-${NAME}-b", "a-${NAME}-b"), ("${NAME:-other}", "other"),
            ("$${NAME}", "${NAME}"),
            ("${NAME:-}", ""), ("plain", "plain"),
        ]
    )
    func variables(text: String, value: String) {
        #expect(settings("name: \"\(text)\"").value?.name == value)
    }

    @Test("A default is judged as a value is")
    func defaults() {
        #expect(settings("port: ${PORT:-8080}").value?.port == Port(8080))
        #expect(settings("port: ${PORT}").diagnostics.count == 1)
        #expect(settings("name: ${not a name}").value == nil)
    }

    @Test(
        "Secrets are not looked for",
        arguments: ["{env: NAME}", "{env: NOWHERE}", "{file: /etc/hostname}", "{file: /nowhere}"]
    )
    func secrets(text: String) {
        let result = settings("key: \(text)")
        #expect(result.diagnostics.isEmpty && result.files.isEmpty)
        let shown = result.value?.key?.reveal()
        #expect(shown.map { ["${NAME}", "${NOWHERE}", "/etc/hostname", "/nowhere"].contains($0) } == true)
    }
}

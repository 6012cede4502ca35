extension LinearPattern {
    /// An expression that matches the text as it is written.
    package static func quoted(_ text: String) -> String {
        var quoted = ""
        for character in text.unicodeScalars {
            if "\\.+*?()|[]{}^$".unicodeScalars.contains(character) { quoted.append("\\") }
            quoted.unicodeScalars.append(character)
        }
        return quoted
    }
}

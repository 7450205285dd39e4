extension String {
  /// As a word of a command that a person can paste.
  package var quotedForShell: String {
    let isPlain =
      !isEmpty
      && utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: "_-./:=@%+,~".utf8.contains(byte)
        }
      }
    if isPlain { return self }
    return "'" + escapedForDisplay().replacing("'", by: "'\\''") + "'"
  }

  private func replacing(_ character: Character, by text: String) -> String {
    reduce(into: "") { $0 += $1 == character ? text : String($1) }
  }
}

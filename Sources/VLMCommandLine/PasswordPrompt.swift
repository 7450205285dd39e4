import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// A password that a person types at the terminal, unseen.
package enum PasswordPrompt {
  /// The longest that is taken, as minisign does.
  private static let limit = 1023

  /// Asks at the terminal of this process.
  ///
  /// - Returns: nil where there is no terminal, or its input ends.
  package static func ask(_ question: String) -> [UInt8]? {
    let terminal = FileSystem.open("/dev/tty", O_RDWR)
    guard terminal >= 0 else { return nil }
    defer { close(terminal) }
    var saved = termios()
    guard tcgetattr(terminal, &saved) == 0 else { return nil }
    var silent = saved
    // Ctrl-C comes as a letter: a signal would end the process and leave the terminal without echo.
    silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
    tcsetattr(terminal, TCSAFLUSH, &silent)
    write("\(question): ", to: terminal)
    let answer = line(from: terminal)
    write("\n", to: terminal)
    tcsetattr(terminal, TCSAFLUSH, &saved)
    if case .interrupted = answer { TerminationSignals.exit(.interrupted) }
    guard case .text(let password) = answer else { return nil }
    return password
  }

  private enum Answer {
    case text([UInt8])
    case interrupted
    case none
  }

  private static func line(from terminal: Int32) -> Answer {
    var text: [UInt8] = []
    while true {
      var letter: UInt8 = 0
      let count = read(terminal, &letter, 1)
      if count < 0, errno == EINTR { continue }
      guard count == 1 else { return .none }
      switch letter {
      case 0x0a, 0x0d: return .text(text)
      case 0x03, 0x1c: return .interrupted
      case 0x04: return text.isEmpty ? .none : .text(text)
      case 0x08, 0x7f:
        // All bytes of a letter.
        while let last = text.popLast(), last & 0xc0 == 0x80 {}
      case 0x15: text = []
      default: if text.count < limit { text.append(letter) }
      }
    }
  }

  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
  }
}

#if canImport(Glibc)
  import Glibc
#endif

/// A calendar date and time without a time zone, for `strftime_now`.
package struct JinjaTime: Sendable, Equatable {
  package let year: Int
  /// From 1.
  package let month: Int
  package let day: Int
  package let hour: Int
  package let minute: Int
  package let second: Int

  package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }

  /// The local time.
  package static func now() -> JinjaTime {
    var seconds = time(nil)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return JinjaTime(
      year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
      hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec))
  }

  /// 0 for Sunday, by Sakamoto's method.
  var weekday: Int {
    let offsets = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4]
    let year = month < 3 ? self.year - 1 : self.year
    let days = year + year / 4 - year / 100 + year / 400 + offsets[(month + 11) % 12] + day
    return ((days % 7) + 7) % 7
  }

  /// From 1.
  var dayOfYear: Int {
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return before[(month + 11) % 12] + day + (isLeap && month > 2 ? 1 : 0)
  }

  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
  ]
  private static let days = [
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
  ]

  /// One directive of C's `strftime` in the C locale; nil if unknown.
  ///
  /// - Parameter flag: of glibc: `-` for no padding, `_` for spaces, `0` for zeros, `^` for capitals.
  func formatted(_ directive: Character, flag: Character? = nil) -> String? {
    func number(_ value: Int, _ width: Int, _ padding: Character = "0") -> String {
      let padding = flag == "_" ? " " : flag == "0" ? "0" : padding
      let digits = String(value)
      if flag == "-" { return digits }
      return String(repeating: padding, count: max(0, width - digits.count)) + digits
    }
    func name(_ text: String) -> String { flag == "^" ? text.uppercased() : text }
    let month = Self.months[(self.month + 11) % 12]
    let day = Self.days[weekday]
    let hour12 = hour % 12 == 0 ? 12 : hour % 12
    switch directive {
    case "Y": return String(year)
    case "y": return number(year % 100, 2)
    case "C": return number(year / 100, 2)
    case "m": return number(self.month, 2)
    case "d": return number(self.day, 2)
    case "e": return number(self.day, 2, " ")
    case "H": return number(hour, 2)
    case "k": return number(hour, 2, " ")
    case "I": return number(hour12, 2)
    case "l": return number(hour12, 2, " ")
    case "M": return number(minute, 2)
    case "S": return number(second, 2)
    case "j": return number(dayOfYear, 3)
    case "w": return String(weekday)
    case "u": return String(weekday == 0 ? 7 : weekday)
    case "B": return name(month)
    case "b", "h": return name(String(month.prefix(3)))
    case "A": return name(day)
    case "a": return name(String(day.prefix(3)))
    case "p": return hour < 12 ? "AM" : "PM"
    case "P": return hour < 12 ? "am" : "pm"
    case "f": return "000000"
    case "z", "Z": return ""
    case "n": return "\n"
    case "t": return "\t"
    case "%": return "%"
    case "F": return parts("Y-m-d")
    case "T", "X": return parts("H:M:S")
    case "R": return parts("H:M")
    case "D", "x": return parts("m/d/y")
    case "r": return parts("I:M:S p")
    case "c": return parts("a b e H:M:S Y")
    default: return nil
    }
  }

  /// Expands the directives in `pattern`.
  private func parts(_ pattern: String) -> String {
    pattern.map { $0.isLetter ? formatted($0) ?? "" : String($0) }.joined()
  }
}

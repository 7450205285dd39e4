/// "4.37 MB": bytes for people, in powers of 1000.
package func byteText(_ count: Int) -> String {
  var value = Double(count)
  for unit in ["B", "kB", "MB", "GB"] {
    if value < 1000 || unit == "GB" {
      return unit == "B" ? "\(count) B" : "\(decimal(value, value < 10 ? 2 : 1)) \(unit)"
    }
    value /= 1000
  }
  return "\(count) B"
}

/// "1 tensor", "3 tensors".
///
/// - Parameter several: what there are other numbers of; nil to add an s.
package func counted(_ count: Int, _ one: String, _ several: String? = nil) -> String {
  "\(count) \(count == 1 ? one : several ?? one + "s")"
}

/// `value` with `digits` decimals.
package func decimal(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite else { return "\(value)" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = (abs(value) * scale).rounded()
  guard scaled < 9e15 else { return "\(value)" }
  let whole = Int(scaled)
  let sign = value < 0 && whole > 0 ? "-" : ""
  guard digits > 0 else { return "\(sign)\(whole)" }
  let fraction = String(whole % Int(scale))
  return "\(sign)\(whole / Int(scale))."
    + String(repeating: "0", count: digits - fraction.count) + fraction
}

/// Values of `format` as expressions. They have a part of what the formats allow: years from 1000 to
/// 2999, and no leap seconds; durations of one unit, or of days and a unit of time; addresses of IPv6
/// without "::"; URIs of web pages.
enum SchemaFormat {
  private static let date =
    "(?:[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    + "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    + "|(?:[12][0-9](?:0[48]|[2468][048]|[13579][26])|(?:12|16|20|24|28)00)-02-29)"
  private static let hour = "(?:[01][0-9]|2[0-3])"
  private static let time =
    hour + ":[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-]" + hour + ":[0-5][0-9])"
  private static let byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
  private static let label = "[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"

  /// Formats that say how a string is used, not what it is.
  static let unbound: Set<String> = ["binary", "password"]

  static let patterns: [String: String] = [
    "duration": "^P(?:[1-9][0-9]{0,3}[YMWD]|(?:[1-9][0-9]{0,3}D)?T[1-9][0-9]{0,3}[HMS])$",
    "ipv6": "^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}$",
    "uri": "^https?://" + label + "(?:\\." + label + "){0,4}(?:/[A-Za-z0-9._~-]+){0,8}/?$",
    "date": "^" + date + "$",
    "time": "^" + time + "$",
    "date-time": "^" + date + "T" + time + "$",
    "uuid": "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "ipv4": "^" + byte + "(?:\\." + byte + "){3}$",
    "hostname": "^" + label + "(?:\\." + label + "){0,4}$",
    "email": "^[A-Za-z0-9_+-]+(?:\\.[A-Za-z0-9_+-]+){0,4}@" + label + "(?:\\." + label + "){1,4}$",
  ]
}

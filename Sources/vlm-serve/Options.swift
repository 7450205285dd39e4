import ArgumentParser
import CVLMHTTP
import VLMCommandLine
import VLMFoundation
import VLMServer
import VLMZ

/// Where the server listens.
struct AddressOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The address to listen on; default: 127.0.0.1, which this machine alone reaches. 0.0.0.0 or :: "
        + "is every address that it has.", valueName: "address"))
  var host: String?

  @Option(help: "The port; 0 takes a free one, which is printed. Default: 8080.")
  var port: UInt16?

  @Option(
    help: ArgumentHelp("Listen on a socket in the file system instead.", valueName: "path"))
  var unix: String?

  @Option(
    help: ArgumentHelp(
      "Who may connect to it, in octal; default: 600, this user alone.", valueName: "mode"))
  var unixMode: String?

  func validate() throws {
    guard unix == nil || (host == nil && port == nil) else {
      throw ValidationError("--unix excludes --host and --port")
    }
    guard unix != "" else { throw ValidationError("--unix: found an empty name, expected a path") }
    guard unixMode == nil || unix != nil else {
      throw ValidationError("--unix-mode: expected --unix")
    }
    _ = try mode()
  }

  private func mode() throws -> UInt32 {
    guard let unixMode else { return 0o600 }
    guard let mode = UInt32(unixMode, radix: 8), mode <= 0o777 else {
      throw ValidationError("--unix-mode: found '\(unixMode)', expected 0 to 777 in octal")
    }
    return mode
  }

  /// The sockets of a service manager, or the one that the options name.
  ///
  /// - Throws: `FileError` where one cannot be had, `ValidationError` for an address that is a name.
  func sockets() throws -> [ListeningSocket] {
    let inherited = try ListeningSocket.inherited()
    guard inherited.isEmpty else {
      guard unix == nil, host == nil, port == nil else {
        throw ValidationError("LISTEN_FDS: the sockets are given, which leaves no other address")
      }
      return inherited
    }
    if let unix { return [try .unix(path: unix, mode: try mode())] }
    let host = host ?? "127.0.0.1"
    let isAddress =
      host == "localhost" || host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
    guard isAddress else {
      throw ValidationError(
        "--host: found '\(host.escapedForDisplay())', expected an address such as 127.0.0.1 or ::1")
    }
    return [try .tcp(host: host, port: port ?? 8080)]
  }
}

/// Who may ask.
struct CallerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A key that callers have to show. Others on this machine may see it: --api-key-file is safer.",
      valueName: "key"))
  var apiKey: [String] = []

  @Option(
    help: ArgumentHelp(
      "A file or pipe with such keys, one a line; '-' for standard input.", valueName: "file"))
  var apiKeyFile: String?

  @Option(
    help: ArgumentHelp(
      "A name that the server is called by, beside addresses and localhost; without keys others are "
        + "refused, as web pages of others may come by them.", valueName: "name"))
  var serverName: [String] = []

  @Option(
    help: ArgumentHelp(
      "A web page elsewhere that may ask, by its origin, such as http://localhost:3000; '*' for every "
        + "page. Default: none but this server's own.", valueName: "origin"))
  var allowOrigin: [String] = []

  func validate() throws {
    for name in serverName {
      guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f && $0 != 0x2f }) else {
        throw ValidationError(
          "--server-name: found '\(name.escapedForDisplay(limit: 80))', expected a name such as "
            + "models.example.org")
      }
    }
    for origin in allowOrigin where origin != "*" {
      let parts = origin.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 3, ["http:", "https:"].contains(parts[0].lowercased()), parts[1].isEmpty,
        !parts[2].isEmpty
      else {
        throw ValidationError(
          "--allow-origin: found '\(origin.escapedForDisplay(limit: 80))', expected '*' or an origin "
            + "such as http://localhost:3000, without a path")
      }
    }
  }

  /// Which browsers are answered.
  ///
  /// - Parameter trustsAllNames: see `BrowserGuard`.
  func browsers(trustsAllNames: Bool) -> BrowserGuard {
    BrowserGuard(
      names: serverName, trustsAllNames: trustsAllNames, origins: allowOrigin,
      remedies: .init(
        name: "; --server-name adds one", origin: "; --allow-origin lets others ask"))
  }

  private static let maximumKeyBytes = 1 << 20

  /// - Throws: `FileError`; `ValidationError` for a file without keys.
  func keys() throws -> APIKeys? {
    var keys = apiKey
    guard !keys.contains("") else { throw ValidationError("--api-key: found an empty key") }
    if let apiKeyFile {
      // Password managers hand keys out by a pipe, so that they are in no file.
      guard var bytes = try ByteStream(path: apiKeyFile).takeAll(limit: Self.maximumKeyBytes) else {
        throw ValidationError(
          "--api-key-file: found more than \(Self.maximumKeyBytes) bytes, expected keys")
      }
      ForeignEncoding.dropMark(of: &bytes)
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw ValidationError(
          "--api-key-file: '\(apiKeyFile.escapedForDisplay())' is no text in UTF-8")
      }
      let found = APIKeys.keys(in: text)
      guard !found.isEmpty else {
        throw ValidationError("--api-key-file: found no key in '\(apiKeyFile.escapedForDisplay())'")
      }
      keys += found
    }
    return keys.isEmpty ? nil : APIKeys(keys)
  }
}

/// What the help tells, and what is taken where nothing is said.
private let usual = ServerLimits()

/// What a request may cost.
struct LimitOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The size of a request's body, such as 64MiB, in MiB without a unit; default: "
        + "\(usual.bodyBytes >> 20).",
      valueName: "size"))
  var maxBody: String?

  @Option(help: "Pictures and films of a request; default: \(usual.pictures).")
  var maxPictures: Int?

  @Option(help: "Frames of the films of a request; default: \(usual.frames).")
  var maxFrames: Int?

  @Option(help: "Megapixels of a picture; default: \(usual.picturePixels / 1_000_000).")
  var maxPixels: Int?

  @Option(help: "Tokens of an answer, which ends there; default: \(usual.answerTokens).")
  var maxTokens: Int?

  @Option(help: "Connections at once; default: 256.")
  var connections: Int?

  @Option(
    name: .customLong("connections-of-address"),
    help: ArgumentHelp(
      "Connections of one address, if others reach the socket; default: half of all.",
      valueName: "n"))
  var connectionsOfAddress: Int?

  @Option(
    help: """
      Requests that may wait for each model, before others are told to come later; default: \
      \(usual.waiting).
      """)
  var queue: Int?

  @Option(help: "Seconds that an answer may take; default: \(usual.deadline.components.seconds).")
  var timeout: Int?

  @Option(help: "Seconds that a client may take to send a request's head; default: 30.")
  var clientTimeout: Int?

  @Option(
    name: .customLong("drain"), help: "Seconds that answers may take at the end; default: 30.")
  var drainSeconds: Int?

  var drain: Int { drainSeconds ?? 30 }

  func validate() throws {
    try Self.check(maxPictures, of: "--max-pictures", in: 0...1024)
    try Self.check(maxFrames, of: "--max-frames", in: 1...36_000)
    try Self.check(maxPixels, of: "--max-pixels", in: 1...1000)
    try Self.check(maxTokens, of: "--max-tokens", in: 1...1_000_000)
    try Self.check(connections, of: "--connections", in: 1...10_000)
    try Self.check(connectionsOfAddress, of: "--connections-of-address", in: 1...10_000)
    try Self.check(queue, of: "--queue", in: 0...100_000)
    try Self.check(timeout, of: "--timeout", in: 1...86_400)
    try Self.check(clientTimeout, of: "--client-timeout", in: 1...3600)
    try Self.check(drainSeconds, of: "--drain", in: 0...86_400)
    if let maxBody {
      let bytes = try ByteSize.parse(maxBody, option: "--max-body", bare: 1 << 20)
      guard (1 << 10...1 << 30).contains(bytes) else {
        throw ValidationError(
          "--max-body: found '\(maxBody.escapedForDisplay())', expected 1KiB to 1GiB")
      }
    }
  }

  private static func check(
    _ value: Int?, of option: String, in range: ClosedRange<Int>
  ) throws {
    guard let value, !range.contains(value) else { return }
    throw ValidationError(
      "\(option): found \(value), expected \(range.lowerBound) to \(range.upperBound)")
  }

  /// Bytes of a request's body.
  private var bodyBytes: Int {
    maxBody.flatMap { try? ByteSize.parse($0, option: "--max-body", bare: 1 << 20) }
      ?? usual.bodyBytes
  }

  var limits: ServerLimits {
    ServerLimits(
      bodyBytes: bodyBytes, pictures: maxPictures ?? usual.pictures,
      frames: maxFrames ?? usual.frames,
      picturePixels: maxPixels.map { $0 * 1_000_000 } ?? usual.picturePixels,
      answerTokens: maxTokens ?? usual.answerTokens,
      waiting: queue ?? usual.waiting,
      deadline: timeout.map { .seconds($0) } ?? usual.deadline)
  }

  /// What clients may do before their requests are looked at.
  ///
  /// - Parameter isLocal: whether only this machine reaches the socket. Its users have one address.
  func connectionLimits(isLocal: Bool) -> vlm_http_limits {
    let all = connections ?? 256
    let milliseconds = UInt32(clientTimeout ?? 30) * 1000
    return vlm_http_limits(
      connections: UInt32(all),
      connections_of_address: isLocal ? 0 : UInt32(connectionsOfAddress ?? (all + 1) / 2),
      head_bytes: 64 << 10,
      head_milliseconds: milliseconds, grace_milliseconds: milliseconds, slowest_rate: 16 << 10,
      pending_bytes: 8 << 20, bodies_bytes: max(256 << 20, 4 * bodyBytes))
  }
}

/// How answers are made.
struct AnswerOptionsGroup: ParsableArguments {
  @Option(help: "Answers that are computed at the same time; default: 8.")
  var parallel: Int?

  @Option(
    help: ArgumentHelp(
      "Positions of a prompt with its answer; default: the model's, at most 4096.",
      valueName: "positions"))
  var ctx: Int?

  @Option(
    help: ArgumentHelp(
      "How keys and values are stored: f16, f32 or q8; default: f16.", valueName: "format"))
  var kv: String?

  @Option(
    help: ArgumentHelp(
      "What frames messages: a template of the file or of this build; default: the file's.",
      valueName: "name"))
  var template: String?

  @Option(
    name: .customLong("template-args"),
    help: ArgumentHelp(
      "Variables for the template: a JSON object, such as '{\"enable_thinking\": false}'; requests give "
        + "theirs beside them.", valueName: "json"))
  var templateArguments: String?

  @Option(parsing: .unconditional, help: SpeculationOption.help)
  var speculate: SpeculationOption?

  func validate() throws {
    if let kv, !["f16", "f32", "q8"].contains(kv) {
      throw ValidationError("--kv: found '\(kv)', expected f16, f32 or q8")
    }
    if let ctx, !(1...BatchEngineOptions.maximumContext).contains(ctx) {
      throw ValidationError(
        "--ctx: found \(ctx), expected 1 to \(BatchEngineOptions.maximumContext)")
    }
    if let parallel, !(1...256).contains(parallel) {
      throw ValidationError("--parallel: found \(parallel), expected 1 to 256")
    }
  }

  /// The options that are given.
  var given: [String] {
    [
      ("--parallel", parallel != nil), ("--ctx", ctx != nil), ("--kv", kv != nil),
      ("--template", template != nil), ("--template-args", templateArguments != nil),
      ("--speculate", speculate != nil),
    ].filter(\.1).map(\.0)
  }

  func engine(_ limits: ServerLimits) -> BatchEngineOptions {
    BatchEngineOptions(
      maximumActive: parallel ?? 8, maximumWaiting: limits.waiting, contextLength: ctx,
      keyValues: kv.flatMap { Conversation.KeyValueStorage(rawValue: $0) } ?? .f16,
      speculatedTokens: speculate?.tokens ?? Speculation.usualTokens,
      maximumTokens: limits.answerTokens, deadline: limits.deadline,
      template: template.map { .named($0) } ?? .automatic, templateArguments: templateArguments)
  }
}

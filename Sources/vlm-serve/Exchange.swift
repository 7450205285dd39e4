import CVLMHTTP
import Synchronization
import VLMServer

/// One request on its connection.
final class Exchange: PieceWriter, Sendable {
  private nonisolated(unsafe) let handle: OpaquePointer
  let head: RequestHead
  let peer: String
  let record = RequestRecord()
  let start = ContinuousClock.now
  /// Nil where the head was refused.
  let route: Mutex<Route?> = Mutex(nil)
  private let state = Mutex<(task: Task<Void, Never>?, isGone: Bool)>((nil, false))

  /// Keeps `handle` alive for as long as itself.
  init(_ handle: OpaquePointer) {
    vlm_http_retain(handle)
    self.handle = handle
    func header(_ name: String) -> String? {
      vlm_http_header(handle, name).map { String(cString: $0) }
    }
    let length = vlm_http_stated_length(handle)
    peer = String(cString: vlm_http_peer(handle))
    let target = RequestTarget(String(cString: vlm_http_path(handle)))
    head = RequestHead(
      method: String(cString: vlm_http_method(handle)), path: target.path,
      // Of two, the one that is checked need not be the one that somebody else looks at.
      authorization: vlm_http_header_count(handle, "authorization") == 1
        ? header("authorization") : nil,
      host: target.host ?? header("host"), origin: header("origin"), peer: peer,
      statedLength: length >= 0 ? Int(length) : nil)
  }

  deinit { vlm_http_release(handle) }

  // MARK: - The request

  /// Whether the client waits for a word before it sends the body.
  var waitsForConsent: Bool { vlm_http_header(handle, "expect") != nil }
  var isTooLarge: Bool { vlm_http_is_too_large(handle) }
  var isShortOfMemory: Bool { vlm_http_is_short_of_memory(handle) }
  /// What is wrong with the head's account of where the request ends; nil for nothing.
  var framingFault: String? { vlm_http_framing_fault(handle).map { String(cString: $0) } }

  /// The body, which is not kept.
  func takeBody() -> [UInt8] {
    var count = 0
    let bytes = vlm_http_body(handle, &count)
    defer { vlm_http_forget_body(handle) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }

  // MARK: - The answer

  func send(_ response: Response) async {
    for header in response.headers { vlm_http_add_header(handle, header.name, header.value) }
    switch response.body {
    case .bytes(let bytes): vlm_http_answer(handle, UInt32(response.status), bytes, bytes.count)
    case .stream(let make):
      guard vlm_http_begin(handle, UInt32(response.status)) else { return }
      vlm_http_end(handle, await make(self))
    }
  }

  /// The same of a response that is no stream, from any callback.
  func sendAtOnce(_ response: Response) {
    guard case .bytes(let bytes) = response.body else { return }
    for header in response.headers { vlm_http_add_header(handle, header.name, header.value) }
    vlm_http_answer(handle, UInt32(response.status), bytes, bytes.count)
  }

  func write(_ piece: String) -> Bool {
    var piece = piece
    return piece.withUTF8 { vlm_http_write(handle, $0.baseAddress, $0.count) }
  }

  var status: Int { Int(vlm_http_status(handle)) }
  var sentBytes: UInt64 { vlm_http_sent_bytes(handle) }
  var seconds: Double {
    let time = (ContinuousClock.now - start).components
    return Double(time.seconds) + Double(time.attoseconds) * 1e-18
  }

  // MARK: - The work

  /// Runs `body`, unless the client has gone already.
  func work(_ body: @escaping @Sendable () async -> Void) {
    let task = Task { await body() }
    let isGone = state.withLock { state in
      state.task = task
      return state.isGone
    }
    if isGone { task.cancel() }
  }

  /// Nobody waits for the answer any more.
  func cancel() {
    let task = state.withLock { state in
      state.isGone = true
      return state.task
    }
    task?.cancel()
  }
}

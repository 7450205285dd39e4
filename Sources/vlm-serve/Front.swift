import CVLMHTTP
import Synchronization
import VLMFoundation
import VLMServer

#if canImport(Glibc)
  import Glibc
#endif

/// Connects sockets with the service.
final class Front: Sendable {
  private let service: Service
  private let log: RequestLog
  private nonisolated(unsafe) var servers: [OpaquePointer] = []
  /// Whether no new work is taken.
  private let isDraining = Atomic<Bool>(false)

  init(_ service: Service, log: RequestLog) {
    self.service = service
    self.log = log
  }

  /// Serves the connections of a socket, until `stop`.
  ///
  /// - Parameter limits: what its clients may do before their requests are looked at.
  /// - Throws: `FileError` where there are no threads or no memory for it.
  func serve(_ socket: ListeningSocket, limits: vlm_http_limits) throws(FileError) {
    var limits = limits
    var callbacks = vlm_http_callbacks()
    callbacks.context = Unmanaged.passRetained(self).toOpaque()
    callbacks.head = { context, handle in
      guard let front = Front.of(context), let handle else { return 0 }
      return front.head(handle)
    }
    callbacks.request = { context, handle in
      guard let front = Front.of(context), let exchange = Front.exchange(handle) else { return }
      front.request(exchange)
    }
    callbacks.gone = { _, handle in Front.exchange(handle)?.cancel() }
    callbacks.ended = { context, handle, how in
      guard let front = Front.of(context), let handle, let owner = vlm_http_owner(handle) else {
        return
      }
      vlm_http_set_owner(handle, nil)
      front.ended(Unmanaged<Exchange>.fromOpaque(owner).takeRetainedValue(), Int(how))
    }
    guard let server = vlm_http_start(socket.descriptor, &limits, &callbacks) else {
      let code = errno
      Unmanaged.passUnretained(self).release()
      throw FileError(path: socket.address, problem: .call("serve", errno: code))
    }
    servers.append(server)
  }

  private static func of(_ context: UnsafeMutableRawPointer?) -> Front? {
    context.map { Unmanaged<Front>.fromOpaque($0).takeUnretainedValue() }
  }

  private static func exchange(_ handle: OpaquePointer?) -> Exchange? {
    handle.flatMap { vlm_http_owner($0) }.map {
      Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue()
    }
  }

  // MARK: - Callbacks

  /// - Returns: bytes that the body may have.
  private func head(_ handle: OpaquePointer) -> Int {
    let exchange = Exchange(handle)
    vlm_http_set_owner(handle, Unmanaged.passRetained(exchange).toOpaque())
    service.metrics.begin()
    do throws(APIError) {
      if let fault = exchange.framingFault { throw APIError.malformed(fault) }
      let route = try service.admit(exchange.head)
      exchange.route.withLock { $0 = route }
      let limit = service.bodyLimit(route)
      // A client that is not too far beyond the limit is let finish, or it would not read the answer.
      if let length = exchange.head.statedLength, length > limit,
        exchange.waitsForConsent || length / 4 > limit
      {
        throw service.tooLarge
      }
      if isDraining.load(ordering: .relaxed), route != .health { throw APIError.stopping }
      if let response = service.answerAtOnce(route) { exchange.sendAtOnce(response) }
      return limit
    } catch {
      exchange.record.set { $0.error = error.message }
      var response = service.refusal(error, of: exchange.head)
      response.headers.append(("Connection", "close"))
      exchange.sendAtOnce(response)
      return 0
    }
  }

  private func request(_ exchange: Exchange) {
    if exchange.isTooLarge || exchange.isShortOfMemory {
      let error = exchange.isTooLarge ? service.tooLarge : service.shortOfMemory
      exchange.record.set { $0.error = error.message }
      exchange.sendAtOnce(service.refusal(error, of: exchange.head))
      return
    }
    let body = exchange.takeBody()
    exchange.work { [service] in
      await exchange.send(
        await service.respond(to: exchange.head, body: body, record: exchange.record))
    }
  }

  private func ended(_ exchange: Exchange, _ how: Int) {
    let isGone = how == VLM_HTTP_CLIENT_GONE
    let isSlow = how == VLM_HTTP_TIMED_OUT
    service.metrics.end(
      route: exchange.route.withLock { $0 }, status: exchange.status, seconds: exchange.seconds,
      isGone: isGone, isSlow: isSlow)
    log.write(
      exchange,
      outcome: isGone
        ? "client gone" : isSlow ? "timed out" : how == VLM_HTTP_STOPPED ? "stopped" : "answered")
  }

  // MARK: - The end

  /// Takes no more connections and no more work; what was begun goes on.
  func drain() {
    isDraining.store(true, ordering: .relaxed)
    for server in servers { vlm_http_stop_listening(server) }
  }

  /// Requests that are not answered yet.
  var openExchanges: Int { servers.reduce(0) { $0 + vlm_http_open_exchanges($1) } }

  /// Ends every connection.
  func stop() {
    for server in servers {
      vlm_http_stop(server)
      // Nobody calls back any more.
      Unmanaged.passUnretained(self).release()
    }
    servers = []
  }
}

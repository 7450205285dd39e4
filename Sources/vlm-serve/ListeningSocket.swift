import CVLMHTTP
import VLMCommandLine
import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// A socket that clients connect to.
struct ListeningSocket {
  let descriptor: Int32
  /// "127.0.0.1:8080", or a path.
  let address: String
  /// Whether only this machine reaches it.
  let isLocal: Bool
  /// The path that this process made, to be removed at its end.
  let path: String?

  private init(descriptor: Int32, path: String? = nil) {
    self.descriptor = descriptor
    self.path = path
    var text = [CChar](repeating: 0, count: 160)
    address =
      vlm_listen_address(descriptor, &text, text.count)
      ? String(fileName: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) })
      : "descriptor \(descriptor)"
    isLocal = vlm_listen_is_local(descriptor)
  }

  /// "http://127.0.0.1:8080", "unix:/run/vlmz.sock".
  var url: String {
    address.contains(":") && !address.contains("/") ? "http://\(address)" : "unix:\(address)"
  }

  // MARK: - Where they come from

  /// - Parameter port: 0 for a free one.
  /// - Throws: `FileError` for an address that is no number, is taken, or is not this machine's.
  static func tcp(host: String, port: UInt16) throws(FileError) -> ListeningSocket {
    let descriptor = vlm_listen_tcp(host, port)
    guard descriptor >= 0 else {
      throw FileError(path: "\(host):\(port)", problem: .call("listen", errno: errno))
    }
    return ListeningSocket(descriptor: descriptor)
  }

  /// - Parameter mode: who may connect, as of a file.
  /// - Throws: `FileError` where somebody listens there already, or something else is there.
  static func unix(path: String, mode: UInt32) throws(FileError) -> ListeningSocket {
    let (descriptor, code) = path.withFileName { name in
      let descriptor = vlm_listen_unix(name, mode)
      return (descriptor, errno)
    }
    guard descriptor >= 0 else {
      throw FileError(path: path, problem: .call("listen", errno: code))
    }
    // Whoever quits the program leaves none; otherwise it is removed when requests are answered.
    PendingOutputs.add(path)
    return ListeningSocket(descriptor: descriptor, path: path)
  }

  /// What a service manager has opened for this process (sd_listen_fds(3)); empty where there is
  /// nothing.
  ///
  /// - Throws: `FileError` for a descriptor that does not listen.
  static func inherited() throws(FileError) -> [ListeningSocket] {
    guard variable("LISTEN_PID").flatMap({ Int32($0) }) == getpid(),
      let count = variable("LISTEN_FDS").flatMap({ Int32($0) }), (1...64).contains(count)
    else { return [] }
    var sockets: [ListeningSocket] = []
    for descriptor in 3..<3 + count {
      guard vlm_listen_inherited(descriptor) >= 0 else {
        throw FileError(
          path: "descriptor \(descriptor) of LISTEN_FDS", problem: .call("listen", errno: errno))
      }
      sockets.append(ListeningSocket(descriptor: descriptor))
    }
    return sockets
  }

  fileprivate static func variable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }
}

/// Tells a service manager how far this process is (sd_notify(3)); without one it does nothing.
enum ServiceManager {
  static func tell(_ message: String) {
    guard let path = ListeningSocket.variable("NOTIFY_SOCKET"), !path.isEmpty else { return }
    let code = vlm_notify(path, message)
    if code != 0 {
      Report.warning(
        "NOTIFY_SOCKET: cannot write: \(String(cString: strerror(code)))", program: "vlm-serve")
    }
  }
}

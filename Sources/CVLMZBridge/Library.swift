import CVLMZ
import VLMFoundation
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

// The functions of vlmz.h, which documents them. Their names and types are compared with the header by
// scripts/build-library.

/// `vlmz_abi_version` of vlmz.h.
@_cdecl("vlmz_abi_version")
public func vlmzABIVersion() -> UInt32 { UInt32(VLMZ_ABI_VERSION) }

/// Made once, never freed.
private nonisolated(unsafe) let version = UnsafePointer(strdup(productVersion))

/// `vlmz_version` of vlmz.h.
@_cdecl("vlmz_version")
public func vlmzVersion() -> UnsafePointer<CChar>? { version }

/// `vlmz_status_name` of vlmz.h.
@_cdecl("vlmz_status_name")
public func vlmzStatusName(_ status: vlmz_status) -> UnsafePointer<CChar>? {
  UnsafeRawPointer(statusName(status).utf8Start).assumingMemoryBound(to: CChar.self)
}

private func statusName(_ status: vlmz_status) -> StaticString {
  guard status != VLMZ_OK else { return "VLMZ_OK" }
  return switch VLMZError.Code(rawValue: status) {
  case .invalidArgument: "VLMZ_INVALID_ARGUMENT"
  case .notCapable: "VLMZ_NOT_CAPABLE"
  case .unsupported: "VLMZ_UNSUPPORTED"
  case .badData: "VLMZ_BAD_DATA"
  case .notFound: "VLMZ_NOT_FOUND"
  case .noPermission: "VLMZ_NO_PERMISSION"
  case .cannotCreate: "VLMZ_CANNOT_CREATE"
  case .io: "VLMZ_IO"
  case .noMemory: "VLMZ_NO_MEMORY"
  case .busy: "VLMZ_BUSY"
  case .cancelled: "VLMZ_CANCELLED"
  case .internal: "VLMZ_INTERNAL"
  case .notTrusted: "VLMZ_NOT_TRUSTED"
  case nil: "unknown"
  }
}

/// `vlmz_last_error` of vlmz.h.
@_cdecl("vlmz_last_error")
public func vlmzLastError() -> UnsafePointer<CChar>? { vlmz_support_message() }

/// `vlmz_free` of vlmz.h.
@_cdecl("vlmz_free")
public func vlmzFree(_ result: UnsafeMutableRawPointer?) { free(result) }

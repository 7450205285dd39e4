import CVLMZ
import VLMFoundation
import VLMZ

/// `vlmz_model_open` of vlmz.h.
@_cdecl("vlmz_model_open")
public func vlmzModelOpen(
  _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<vlmz_model_options>?,
  _ model: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call { try openModel(path, options, model, trustedKeys: nil) }
}

/// `vlmz_model_open_signed` of vlmz.h.
@_cdecl("vlmz_model_open_signed")
public func vlmzModelOpenSigned(
  _ path: UnsafePointer<CChar>?, _ keys: UnsafePointer<UnsafePointer<CChar>?>?, _ keyCount: Int,
  _ options: UnsafePointer<vlmz_model_options>?, _ model: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call {
    // An empty list is the library's to refuse: it never means that anybody is trusted.
    let keys = try elements(keys, keyCount, "keys").map { try fileName($0) }
    try openModel(path, options, model, trustedKeys: keys)
  }
}

private func openModel(
  _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<vlmz_model_options>?,
  _ model: UnsafeMutablePointer<OpaquePointer?>?, trustedKeys: [String]?
) throws {
  let result = try place(model, "model", empty: nil)
  let given = try structure(
    options, "options", initial: vlmz_model_options(),
    older: [MemoryLayout<vlmz_model_options>.offset(of: \.memory_bytes)])
  var options = Model.Options(
    threads: nonzero(given.threads),
    instructionSet: try optionalText(given.instruction_set, "instruction set"),
    trustedKeys: trustedKeys, cacheFolder: given.cache_folder.map { String(fileName: $0) },
    memoryByteLimit: given.memory_bytes == 0 ? nil : Int(clamping: given.memory_bytes))
  if given.cache_bytes > 0 { options.cacheByteLimit = Int(clamping: given.cache_bytes) }
  let opened = try Model(opening: try fileName(path), options: options)
  result.pointee = HandleTable.shared.add(opened, .model)
}

/// The name of a file: any bytes.
func fileName(_ path: UnsafePointer<CChar>?) throws -> String {
  guard let path else { throw invalid("path", found: "NULL", expected: "the name of a file") }
  return String(fileName: path)
}

/// `vlmz_model_capabilities` of vlmz.h.
@_cdecl("vlmz_model_capabilities")
public func vlmzModelCapabilities(
  _ handle: OpaquePointer?, _ capabilities: UnsafeMutablePointer<UInt32>?
) -> vlmz_status {
  call {
    let result = try place(capabilities, "capabilities", empty: 0)
    result.pointee = try model(handle).capabilities.rawValue
  }
}

/// `vlmz_model_describe` of vlmz.h.
@_cdecl("vlmz_model_describe")
public func vlmzModelDescribe(
  _ handle: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> vlmz_status {
  call {
    let result = try place(json, "json", empty: nil)
    result.pointee = try Block.text(try model(handle).describe())
  }
}

/// `vlmz_model_free` of vlmz.h.
@_cdecl("vlmz_model_free")
public func vlmzModelFree(_ handle: OpaquePointer?) -> vlmz_status { release(handle, .model) }

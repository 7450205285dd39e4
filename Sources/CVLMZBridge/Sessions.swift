import CVLMZ
import VLMZ

/// `vlmz_session_create` of vlmz.h.
@_cdecl("vlmz_session_create")
public func vlmzSessionCreate(
  _ handle: OpaquePointer?, _ options: UnsafePointer<vlmz_session_options>?,
  _ session: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call {
    let result = try place(session, "session", empty: nil)
    let options = try structure(options, "options", initial: vlmz_session_options())
    let made = try Session(
      of: try model(handle), options: Session.Options(threads: nonzero(options.threads)))
    result.pointee = HandleTable.shared.add(made, .session)
  }
}

/// `vlmz_session_classify` of vlmz.h.
@_cdecl("vlmz_session_classify")
public func vlmzSessionClassify(
  _ handle: OpaquePointer?, _ imageHandle: OpaquePointer?, _ top: Int,
  _ candidates: UnsafeMutablePointer<UnsafeMutablePointer<vlmz_candidate>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    try give(candidates, "candidates", count, Block.candidates) {
      try session(handle).classify(try image(imageHandle), top: wanted(top)).candidates
    }
  }
}

/// `vlmz_session_classify_images` of vlmz.h.
@_cdecl("vlmz_session_classify_images")
public func vlmzSessionClassifyImages(
  _ handle: OpaquePointer?, _ images: UnsafePointer<OpaquePointer?>?, _ imageCount: Int,
  _ top: Int, _ candidates: UnsafeMutablePointer<UnsafeMutablePointer<vlmz_candidate>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    try giveRows(candidates, "candidates", count, Block.candidates) {
      try session(handle).classify(try several(images, imageCount), top: wanted(top))
        .map(\.candidates)
    }
  }
}

/// `vlmz_session_embed_image` of vlmz.h.
@_cdecl("vlmz_session_embed_image")
public func vlmzSessionEmbedImage(
  _ handle: OpaquePointer?, _ imageHandle: OpaquePointer?,
  _ values: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    try give(values, "values", count, Block.floats) {
      try session(handle).embed(try image(imageHandle)).values
    }
  }
}

/// `vlmz_session_embed_images` of vlmz.h.
@_cdecl("vlmz_session_embed_images")
public func vlmzSessionEmbedImages(
  _ handle: OpaquePointer?, _ images: UnsafePointer<OpaquePointer?>?, _ imageCount: Int,
  _ values: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    try giveRows(values, "values", count, Block.floats) {
      try session(handle).embed(try several(images, imageCount)).map(\.values)
    }
  }
}

/// `vlmz_session_embed_text` of vlmz.h.
@_cdecl("vlmz_session_embed_text")
public func vlmzSessionEmbedText(
  _ handle: OpaquePointer?, _ said: UnsafePointer<CChar>?,
  _ values: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    try give(values, "values", count, Block.floats) {
      try session(handle).embed(try text(said, "text")).values
    }
  }
}

/// `vlmz_session_make_text_classes` of vlmz.h.
@_cdecl("vlmz_session_make_text_classes")
public func vlmzSessionMakeTextClasses(
  _ handle: OpaquePointer?, _ labels: UnsafePointer<UnsafePointer<CChar>?>?, _ labelCount: Int,
  _ templates: UnsafePointer<UnsafePointer<CChar>?>?, _ templateCount: Int,
  _ classes: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call {
    let result = try place(classes, "classes", empty: nil)
    let made = try session(handle).textClasses(
      try texts(labels, labelCount, "labels"),
      templates: try texts(templates, templateCount, "templates"))
    result.pointee = HandleTable.shared.add(made, .textClasses)
  }
}

/// `vlmz_text_classes_free` of vlmz.h.
@_cdecl("vlmz_text_classes_free")
public func vlmzTextClassesFree(_ handle: OpaquePointer?) -> vlmz_status {
  release(handle, .textClasses)
}

/// `vlmz_session_classify_by_text` of vlmz.h.
@_cdecl("vlmz_session_classify_by_text")
public func vlmzSessionClassifyByText(
  _ handle: OpaquePointer?, _ imageHandle: OpaquePointer?, _ classes: OpaquePointer?, _ top: Int,
  _ candidates: UnsafeMutablePointer<UnsafeMutablePointer<vlmz_candidate>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    try give(candidates, "candidates", count, Block.candidates) {
      try session(handle).classify(
        try image(imageHandle), as: try textClasses(classes), top: wanted(top)
      ).candidates
    }
  }
}

/// `vlmz_session_classify_images_by_text` of vlmz.h.
@_cdecl("vlmz_session_classify_images_by_text")
public func vlmzSessionClassifyImagesByText(
  _ handle: OpaquePointer?, _ images: UnsafePointer<OpaquePointer?>?, _ imageCount: Int,
  _ classes: OpaquePointer?, _ top: Int,
  _ candidates: UnsafeMutablePointer<UnsafeMutablePointer<vlmz_candidate>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    try giveRows(candidates, "candidates", count, Block.candidates) {
      try session(handle).classify(
        try several(images, imageCount), as: try textClasses(classes), top: wanted(top)
      ).map(\.candidates)
    }
  }
}

/// `vlmz_session_features` of vlmz.h.
@_cdecl("vlmz_session_features")
public func vlmzSessionFeatures(
  _ handle: OpaquePointer?, _ imageHandle: OpaquePointer?,
  _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ nameCount: Int,
  _ features: UnsafeMutablePointer<UnsafeMutablePointer<vlmz_feature>?>?,
  _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    try give(features, "features", count, Block.features) {
      try session(handle).features(
        of: try image(imageHandle), named: try texts(names, nameCount, "names"))
    }
  }
}

/// `vlmz_session_encode` of vlmz.h.
@_cdecl("vlmz_session_encode")
public func vlmzSessionEncode(
  _ handle: OpaquePointer?, _ imageHandle: OpaquePointer?,
  _ options: UnsafePointer<vlmz_encoding_options>?, _ picture: UnsafeMutablePointer<OpaquePointer?>?
) -> vlmz_status {
  call {
    let result = try place(picture, "picture", empty: nil)
    let options = try structure(
      options, "options", initial: vlmz_encoding_options(),
      older: [MemoryLayout<vlmz_encoding_options>.offset(of: \.one_of_several)])
    let made = try session(handle).encode(
      try image(imageHandle),
      options: EncodingOptions(
        resolution: nonzero(options.resolution), keepsAspect: options.keeps_aspect != 0,
        isOneOfSeveral: options.one_of_several != 0))
    result.pointee = HandleTable.shared.add(made, .picture)
  }
}

/// `vlmz_picture_get_token_count` of vlmz.h.
@_cdecl("vlmz_picture_get_token_count")
public func vlmzPictureGetTokenCount(
  _ handle: OpaquePointer?, _ count: UnsafeMutablePointer<Int>?
) -> vlmz_status {
  call {
    let result = try place(count, "count", empty: 0)
    result.pointee = try picture(handle).tokenCount
  }
}

/// `vlmz_picture_free` of vlmz.h.
@_cdecl("vlmz_picture_free")
public func vlmzPictureFree(_ handle: OpaquePointer?) -> vlmz_status { release(handle, .picture) }

/// `vlmz_session_cancel` of vlmz.h.
@_cdecl("vlmz_session_cancel")
public func vlmzSessionCancel(_ handle: OpaquePointer?) -> vlmz_status {
  call { try session(handle).cancel() }
}

/// `vlmz_session_free` of vlmz.h.
@_cdecl("vlmz_session_free")
public func vlmzSessionFree(_ handle: OpaquePointer?) -> vlmz_status { release(handle, .session) }

/// A number of C that is too large for Swift's is as good as the largest.
private func wanted(_ top: Int) -> Int { top < 0 ? .max : top }

/// Writes an array and its length to the caller's places.
///
/// - Parameters:
///   - name: of the first place in vlmz.h, for errors.
///   - block: copies the array to memory of `malloc`.
private func give<Value, Element>(
  _ values: UnsafeMutablePointer<UnsafeMutablePointer<Value>?>?, _ name: String,
  _ count: UnsafeMutablePointer<Int>?,
  _ block: ([Element]) throws -> UnsafeMutablePointer<Value>, _ make: () throws -> [Element]
) throws {
  count?.pointee = 0
  let result = try place(values, name, empty: nil)
  let number = try place(count, "count", empty: 0)
  let made = try make()
  result.pointee = try block(made)
  number.pointee = made.count
}

/// The same of rows that are equally long; the caller is told their length.
private func giveRows<Value, Element>(
  _ values: UnsafeMutablePointer<UnsafeMutablePointer<Value>?>?, _ name: String,
  _ count: UnsafeMutablePointer<Int>?,
  _ block: ([Element]) throws -> UnsafeMutablePointer<Value>, _ make: () throws -> [[Element]]
) throws {
  var length = 0
  try give(values, name, count, block) {
    let rows = try make()
    length = rows.first?.count ?? 0
    return rows.flatMap { $0 }
  }
  count?.pointee = length
}

/// A caller's images.
///
/// - Throws: `.invalidArgument` also for none.
private func several(
  _ handles: UnsafePointer<OpaquePointer?>?, _ count: Int
) throws -> [Image] {
  guard count != 0 else { throw invalid("images", found: "none", expected: "one or more") }
  return try elements(handles, count, "images").map { try image($0) }
}

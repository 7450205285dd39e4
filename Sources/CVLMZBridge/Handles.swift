import CVLMZ
import Synchronization
import VLMZ

/// Kinds of handles; the last bits of their numbers.
enum HandleKind: UInt {
  case model = 1
  case image, session, textClasses, picture, conversation

  var name: String {
    switch self {
    case .model: "a model"
    case .image: "an image"
    case .session: "a session"
    case .textClasses: "text classes"
    case .picture: "a picture"
    case .conversation: "a conversation"
    }
  }
}

/// What handles stand for.
///
/// A handle is a number that is never given twice, so that one that was freed, or never given, is known.
/// Looking it up retains the object: a call keeps what it uses, whoever frees the handle meanwhile.
final class HandleTable: Sendable {
  private struct State {
    var objects: [UInt: any Sendable] = [:]
    var count: UInt = 0
  }

  private static let kindBits: UInt = 3
  private let state = Mutex(State())

  static let shared = HandleTable()

  func add(_ object: some Sendable, _ kind: HandleKind) -> OpaquePointer? {
    state.withLock { state in
      state.count += 1
      let number = state.count << Self.kindBits | kind.rawValue
      state.objects[number] = object
      return OpaquePointer(bitPattern: number)
    }
  }

  /// - Throws: `.invalidArgument` for a handle that stands for nothing of this kind.
  func find<T: Sendable>(_ handle: OpaquePointer?, _ kind: HandleKind) throws -> T {
    let object = state.withLock { $0.objects[UInt(bitPattern: handle)] }
    guard let object = object as? T else { throw unknown(handle, kind) }
    return object
  }

  /// Forgets a handle; NULL is none.
  func remove(_ handle: OpaquePointer?, _ kind: HandleKind) throws {
    guard let handle else { return }
    let number = UInt(bitPattern: handle)
    let isKind = number & (1 << Self.kindBits - 1) == kind.rawValue
    // The object goes after the lock: what a caller wants to be told of that may use handles.
    let object = isKind ? state.withLock { $0.objects.removeValue(forKey: number) } : nil
    guard object != nil else { throw unknown(handle, kind) }
  }

  private func unknown(_ handle: OpaquePointer?, _ kind: HandleKind) -> VLMZError {
    invalid(
      "handle", found: handle == nil ? "NULL" : "one that was freed or is of another kind",
      expected: kind.name)
  }
}

func model(_ handle: OpaquePointer?) throws -> Model { try HandleTable.shared.find(handle, .model) }
func image(_ handle: OpaquePointer?) throws -> Image { try HandleTable.shared.find(handle, .image) }

func session(_ handle: OpaquePointer?) throws -> Session {
  try HandleTable.shared.find(handle, .session)
}

func textClasses(_ handle: OpaquePointer?) throws -> TextClasses {
  try HandleTable.shared.find(handle, .textClasses)
}

func picture(_ handle: OpaquePointer?) throws -> EncodedImage {
  try HandleTable.shared.find(handle, .picture)
}

func conversation(_ handle: OpaquePointer?) throws -> Conversation {
  try HandleTable.shared.find(handle, .conversation)
}

/// Frees a handle.
func release(_ handle: OpaquePointer?, _ kind: HandleKind) -> vlmz_status {
  call { try HandleTable.shared.remove(handle, kind) }
}

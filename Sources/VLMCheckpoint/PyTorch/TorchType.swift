import VLMTensor

/// An element type of PyTorch.
struct TorchType: Equatable, Sendable {
  /// PyTorch's name, such as "float32" or "qint8".
  let name: String
  /// Bytes of an element.
  let width: Int
  /// The type that elements are read as; nil if unsupported.
  let dtype: DType?
  /// Unit of byte swapping: an element, or half of a complex one.
  var swapWidth: Int { name.hasPrefix("complex") ? width / 2 : width }

  private init(_ name: String, _ width: Int, _ dtype: DType?) {
    self.name = name
    self.width = width
    self.dtype = dtype
  }

  /// The type of a storage class of `torch` or `torch.cuda`.
  static func ofStorage(_ name: String) -> TorchType? {
    storages[name].flatMap { named[$0] }
  }

  /// The type of a dtype constant of `torch`.
  static func named(_ name: String) -> TorchType? { named[aliases[name] ?? name] }

  private static let storages = [
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64",
    "QInt8Storage": "qint8", "QUInt8Storage": "quint8", "QInt32Storage": "qint32",
  ]

  private static let aliases = [
    "double": "float64", "float": "float32", "half": "float16", "long": "int64", "int": "int32",
    "short": "int16", "cfloat": "complex64", "cdouble": "complex128", "chalf": "complex32",
  ]

  private static let named: [String: TorchType] = {
    let all = [
      TorchType("float64", 8, .f64), TorchType("float32", 4, .f32), TorchType("float16", 2, .f16),
      TorchType("bfloat16", 2, .bf16), TorchType("int64", 8, .i64), TorchType("int32", 4, .i32),
      TorchType("int16", 2, .i16), TorchType("int8", 1, .i8), TorchType("uint8", 1, .u8),
      TorchType("uint16", 2, .u16), TorchType("uint32", 4, .u32), TorchType("uint64", 8, .u64),
      TorchType("bool", 1, .bool), TorchType("complex64", 8, .c64),
      TorchType("complex128", 16, nil), TorchType("complex32", 4, nil),
      TorchType("float8_e5m2", 1, .f8e5m2), TorchType("float8_e4m3fn", 1, .f8e4m3),
      TorchType("float8_e8m0fnu", 1, .f8e8m0), TorchType("float8_e5m2fnuz", 1, nil),
      TorchType("float8_e4m3fnuz", 1, nil),
      // Quantized tensors are read as their codes.
      TorchType("qint8", 1, .i8), TorchType("quint8", 1, .u8), TorchType("qint32", 4, .i32),
    ]
    return Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
  }()
}

extension DType {
  /// PyTorch's name of the type, or its own name if PyTorch has none.
  package var torchName: String {
    switch self {
    case .f64: "float64"
    case .f32: "float32"
    case .f16: "float16"
    case .bf16: "bfloat16"
    case .f8e5m2: "float8_e5m2"
    case .f8e4m3: "float8_e4m3fn"
    case .f8e8m0: "float8_e8m0fnu"
    case .c64: "complex64"
    case .i64: "int64"
    case .i32: "int32"
    case .i16: "int16"
    case .i8: "int8"
    case .u64: "uint64"
    case .u32: "uint32"
    case .u16: "uint16"
    case .u8: "uint8"
    case .bool: "bool"
    case .f4, .f6e2m3, .f6e3m2: rawValue
    }
  }
}

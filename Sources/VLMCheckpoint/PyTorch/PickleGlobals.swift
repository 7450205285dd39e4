/// Which names a pickle may mention.
///
/// Nothing is ever imported or called, so no name is a danger to this program. A file that mentions
/// what only an attack would is refused all the same, even where the name is never used: whoever
/// made it may have changed more than that.
enum PickleGlobals {
  /// Bytes of a module's or class's name.
  static let maximumNameBytes = 512

  /// Modules that no checkpoint has business with, with all that is below them.
  private static let forbiddenModules: Set<String> = [
    "os", "posix", "nt", "posixpath", "ntpath", "sys", "subprocess", "pip", "importlib", "imp",
    "zipimport", "runpy", "pkgutil", "shutil", "socket", "socketserver", "ssl", "pty", "tty",
    "code", "codeop", "ctypes", "_ctypes", "cffi", "marshal", "pickle", "_pickle", "cPickle",
    "pickletools", "shelve", "dill", "cloudpickle", "joblib", "operator", "_operator",
    "multiprocessing", "_posixsubprocess", "commands", "popen2", "webbrowser", "platform", "pydoc",
    "pydoc_data", "timeit", "cProfile", "profile", "pdb", "bdb", "trace", "asyncio", "threading",
    "_thread", "thread", "signal", "requests", "urllib", "urllib2", "http", "httplib", "ftplib",
    "smtplib", "poplib", "imaplib", "telnetlib", "xmlrpc", "nturl2path", "idlelib", "lib2to3",
    "distutils", "setuptools", "venv", "ensurepip", "inspect", "gc", "dis", "doctest", "unittest",
    "tempfile", "glob", "fileinput", "linecache", "_winapi", "winreg", "msvcrt", "site",
    "sysconfig", "sqlite3", "concurrent", "aiohttp", "paramiko", "ipykernel", "IPython", "pexpect",
    "mmap", "atexit", "logging.config", "compileall", "py_compile", "torch.hub",
    "torch.serialization", "torch.package", "torch.utils.cpp_extension", "torch.utils.collect_env",
    "torch.utils.bottleneck", "torch.multiprocessing", "torch._inductor", "torch._dynamo",
    "torch.testing", "torch.fx.experimental", "numpy.testing", "numpy.f2py", "numpy.distutils",
    "numpy.lib.npyio", "numpy.ctypeslib",
  ]

  /// All that `builtins` may be named for: types of plain data.
  private static let builtins: Set<String> = [
    "set", "frozenset", "bytearray", "bytes", "complex", "list", "dict", "tuple", "int", "float",
    "str", "bool", "object", "range", "xrange", "slice", "long", "unicode", "NoneType", "Ellipsis",
  ]

  private static let forbiddenNames: [String: Set<String>] = [
    "torch": ["load", "save", "hub", "ops", "classes", "compile", "import_ir_module"],
    "torch.storage": ["_load_from_bytes"],
    "torch.jit": ["load", "save", "script", "trace", "CompilationUnit"],
    "numpy": ["load", "loadtxt", "genfromtxt", "fromfile", "memmap", "save", "savez"],
    "io": ["open", "open_code", "FileIO"],
    "_io": ["open", "open_code", "FileIO"],
    "types": ["FunctionType", "CodeType", "LambdaType", "MethodType", "ModuleType", "new_class"],
    "pandas": ["read_pickle", "eval"],
    "functools": ["reduce", "partialmethod", "singledispatch"],
    "_codecs": ["decode", "lookup", "register"],
    "codecs": ["decode", "open", "lookup", "register"],
  ]

  /// What makes the name one that no checkpoint needs; nil for every other.
  static func refusal(_ global: PickleGlobal) -> PyTorchProblem? {
    guard isPlain(global.module), isPlain(global.name) else {
      return .oddGlobal(module: global.module, name: global.name)
    }
    if isForbidden(global) { return .forbiddenGlobal(global.text) }
    // A nested class at best, an attribute of a module otherwise.
    if global.name.utf8.contains(UInt8(ascii: ".")) { return .dottedGlobal(global.text) }
    return nil
  }

  private static func isForbidden(_ global: PickleGlobal) -> Bool {
    // What a sparse tensor's layout is called.
    if global.module == "torch.serialization", global.name == "_get_layout" { return false }
    if global.module == "builtins" || global.module == "__builtin__" {
      return !builtins.contains(global.name)
    }
    if global.module == "copyreg" || global.module == "copy_reg" {
      return global.name != "_reconstructor" && global.name != "__newobj__"
    }
    var prefix = ""
    for part in global.module.split(separator: ".") {
      prefix += (prefix.isEmpty ? "" : ".") + part
      if forbiddenModules.contains(prefix) { return true }
    }
    return forbiddenNames[global.module]?.contains(global.name) ?? false
  }

  /// A dotted name of ASCII letters, digits and underscores: no look-alike, no blank, no escape.
  private static func isPlain(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= maximumNameBytes
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
          true
        default: false
        }
      }
  }
}

/// Decides which global names a pickle may contain.
///
/// Nothing is ever imported or called, so no name endangers this program. A file that names
/// something only an attack needs is refused all the same, even if the name is never used: its
/// other content cannot be trusted either.
enum PickleGlobals {
  /// Maximum bytes of a module's or class's name.
  static let maximumNameBytes = 512

  /// Modules that no checkpoint needs, with their submodules.
  private static let forbiddenModules: Set<String> = [
    "os", "posix", "nt", "posixpath", "ntpath", "sys", "subprocess", "pip", "importlib", "imp",
    "zipimport", "runpy", "pkgutil", "shutil", "socket", "socketserver", "ssl", "pty", "tty",
    "code", "codeop", "ctypes", "_ctypes", "cffi", "marshal", "pickle", "_pickle", "cPickle",
    "pickletools", "shelve", "dill", "cloudpickle", "joblib", "multiprocessing", "_posixsubprocess",
    "commands", "popen2", "webbrowser", "platform", "pydoc",
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
    "numpy.lib.npyio", "numpy.ctypeslib", "zipfile", "tarfile", "_pyio", "torch.distributed.run",
    "torch.distributed.launch",
  ]

  /// Exceptions: classes of such modules that published checkpoints contain, such as enumerations,
  /// versions, and the wrapper of `torch.compile`.
  private static let harmless: Set<String> = [
    "torch.serialization._get_layout", "torch._dynamo.eval_frame.OptimizedModule",
    "signal.Signals", "http.HTTPStatus", "inspect._ParameterKind", "inspect._empty",
    "inspect.Parameter", "inspect.Signature", "urllib.parse.ParseResult",
    "urllib.parse.SplitResult", "distutils.version.LooseVersion",
    "distutils.version.StrictVersion", "logging.Logger", "logging.getLogger",
  ]

  /// The allowed names of `builtins`: types of plain data and pure functions. Names of exceptions
  /// are recognised by their suffix.
  private static let builtins: Set<String> = [
    "set", "frozenset", "bytearray", "bytes", "complex", "list", "dict", "tuple", "int", "float",
    "str", "bool", "object", "range", "xrange", "slice", "long", "unicode", "NoneType", "Ellipsis",
    "NotImplemented", "type", "getattr", "print", "abs", "len", "min", "max", "sum", "round",
    "sorted", "reversed", "enumerate", "zip", "iter", "Exception", "StopIteration",
    "KeyboardInterrupt",
  ]

  /// Attributes that give access to running code or changing files, refused on every object.
  private static let forbiddenAttributes: Set<String> = [
    "system", "popen", "eval", "exec", "execfile", "import_module", "run_path", "run_module",
    "check_output", "check_call", "Popen", "load_module", "exec_module", "unlink", "rmdir",
    "rmtree",
    "removedirs", "write_text", "write_bytes", "symlink_to", "hardlink_to", "link_to", "tofile",
  ]

  /// Attributes of `pathlib` paths that change files; the names are too common to be refused
  /// elsewhere.
  private static let forbiddenOfPaths: Set<String> = [
    "open", "touch", "mkdir", "chmod", "lchmod", "rename", "replace", "copy", "copy_into", "move",
    "move_into",
  ]

  private static let forbiddenNames: [String: Set<String>] = [
    "torch": ["load", "save", "hub", "ops", "classes", "compile", "import_ir_module"],
    "torch.storage": ["_load_from_bytes"],
    "torch.jit": ["load", "save", "script", "trace", "CompilationUnit"],
    // A pickle names the module that defines a function.
    "torch.jit._serialization": ["load", "save", "jit_module_from_flatbuffer"],
    "torch.jit._script": ["script", "CompilationUnit"],
    "torch.jit._trace": ["trace", "trace_module"],
    "torch._C": ["import_ir_module", "import_ir_module_from_buffer", "CompilationUnit"],
    "numpy": ["load", "loadtxt", "genfromtxt", "fromfile", "memmap", "save", "savez"],
    "io": ["open", "open_code", "FileIO"],
    "_io": ["open", "open_code", "FileIO"],
    "types": ["FunctionType", "CodeType", "LambdaType", "MethodType", "ModuleType", "new_class"],
    "pandas": ["read_pickle", "eval"],
    "pandas.io.pickle": ["read_pickle", "to_pickle"],
    "pandas.core.computation.eval": ["eval"],
    "operator": ["methodcaller", "call", "setitem", "delitem"],
    "_operator": ["methodcaller", "call", "setitem", "delitem"],
    "functools": ["reduce", "partialmethod", "singledispatch"],
    "_codecs": ["decode", "lookup", "register"],
    "codecs": ["decode", "open", "lookup", "register"],
  ]

  /// Why the name is refused; nil if it is allowed.
  static func refusal(_ global: PickleGlobal) -> PyTorchProblem? {
    guard isPlain(global.module), isPlain(global.name) else {
      return .oddGlobal(module: global.module, name: global.name)
    }
    if isForbidden(global) || global.name.contains(".") && reachesOtherModules(global) {
      return .forbiddenGlobal(global.text)
    }
    return nil
  }

  /// Whether a dotted name reaches beyond a nested class or its members: a module may be an
  /// attribute of another, and every object gives access to the functions of its module.
  private static func reachesOtherModules(_ global: PickleGlobal) -> Bool {
    let parts = global.name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    for (index, part) in parts.enumerated() {
      if part.isEmpty || part.hasPrefix("__") { return true }
      if index > 0, forbiddenAttributes.contains(part) { return true }
      if index > 0, isOfPaths(global.module), forbiddenOfPaths.contains(part) { return true }
      if index < parts.count - 1, forbiddenModules.contains(part) { return true }
      // Check the attribute as a name of the module before it.
      let module = ([global.module] + parts[..<index]).joined(separator: ".")
      if isForbidden(PickleGlobal(module: module, name: part)) { return true }
      if index > 0, isForbidden(PickleGlobal(module: parts[index - 1], name: part)) { return true }
    }
    return false
  }

  private static func isOfPaths(_ module: String) -> Bool {
    module == "pathlib" || module.hasPrefix("pathlib.")
  }

  private static func isForbidden(_ global: PickleGlobal) -> Bool {
    let first = String(global.name.prefix { $0 != "." })
    if harmless.contains(global.module + "." + first) { return false }
    if global.module == "builtins" || global.module == "__builtin__"
      || global.module == "exceptions"
    {
      let isError = ["Error", "Exception", "Warning"].contains { global.name.hasSuffix($0) }
      return !builtins.contains(first) && !(isError && !global.name.contains("."))
    }
    if global.module == "copyreg" || global.module == "copy_reg" {
      return !["_reconstructor", "__newobj__", "__newobj_ex__"].contains(global.name)
    }
    // Special attributes of a module: its dictionary, its loader, all builtins.
    if global.name.hasPrefix("__"), global.name.hasSuffix("__") { return true }
    var prefix = ""
    var isBelow = false
    for part in global.module.split(separator: ".") {
      prefix += (prefix.isEmpty ? "" : ".") + part
      // A member of an allowed class.
      if harmless.contains(prefix) { return false }
      isBelow = isBelow || forbiddenModules.contains(prefix)
    }
    return isBelow || forbiddenNames[global.module]?.contains(global.name) ?? false
  }

  /// A dotted name of ASCII letters, digits and underscores. Homoglyphs, spaces and escapes are
  /// refused.
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

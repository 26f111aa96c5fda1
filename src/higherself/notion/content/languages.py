"""The languages that Notion knows for code, and what else they are called. Pure."""

LANGUAGES = frozenset({
    "abap", "abc", "agda", "arduino", "ascii art", "assembly", "bash", "basic", "bnf", "c",
    "c#", "c++", "clojure", "coffeescript", "coq", "css", "dart", "dhall", "diff", "docker",
    "ebnf", "elixir", "elm", "erlang", "f#", "flow", "fortran", "gherkin", "glsl", "go",
    "graphql", "groovy", "haskell", "hcl", "html", "idris", "java", "javascript", "json",
    "julia", "kotlin", "latex", "less", "lisp", "livescript", "llvm ir", "lua", "makefile",
    "markdown", "markup", "matlab", "mathematica", "mermaid", "nix", "notion formula",
    "objective-c", "ocaml", "pascal", "perl", "php", "plain text", "powershell", "prolog",
    "protobuf", "purescript", "python", "r", "racket", "reason", "ruby", "rust", "sass",
    "scala", "scheme", "scss", "shell", "smalltalk", "solidity", "sql", "swift", "toml",
    "typescript", "vb.net", "verilog", "vhdl", "visual basic", "webassembly", "xml", "yaml",
    "java/c/c++/c#",
})  # fmt: skip
"""`LanguageRequest` of @notionhq/client 5.26.0."""

_ALIASES = {
    "c++": "cpp cxx cc", "c#": "csharp cs", "f#": "fsharp", "javascript": "js jsx node", "typescript": "ts tsx",
    "python": "py python3", "shell": "sh zsh console", "yaml": "yml", "markdown": "md", "docker": "dockerfile",
    "rust": "rs", "ruby": "rb", "kotlin": "kt", "plain text": "text txt plain", "latex": "tex", "html": "htm",
    "makefile": "make", "powershell": "ps1", "visual basic": "vb", "objective-c": "objc", "haskell": "hs", "go": "golang",
}  # fmt: skip
_NAMES = {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()}


def language(name: str) -> str:
    """Return Notion's name of a language; what it does not know is plain text.

    >>> language("py"), language("Mermaid"), language("klingon")
    ('python', 'mermaid', 'plain text')
    """
    small = name.strip().lower()
    small = _NAMES.get(small, small)
    return small if small in LANGUAGES else "plain text"

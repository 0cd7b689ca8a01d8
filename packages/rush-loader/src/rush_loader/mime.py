"""Content types by file name: the same on every machine.

The standard library's `mimetypes` reads `/etc/mime.types`, so that its answers depend on what
else is installed.  Text is always said to be UTF-8 (RFC 8259 for JSON: it is never anything else).
"""

UNKNOWN = "application/octet-stream"

_TEXT = {
    "css": "text/css",
    "csv": "text/csv",
    "htm": "text/html",
    "html": "text/html",
    "ics": "text/calendar",
    "js": "text/javascript",  # RFC 9239
    "log": "text/plain",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "rst": "text/plain",
    "text": "text/plain",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "vtt": "text/vtt",
    "webmanifest": "application/manifest+json",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "yaml": "application/yaml",  # RFC 9512
    "yml": "application/yaml",
}

_OTHER = {
    "7z": "application/x-7z-compressed",
    "aac": "audio/aac",
    "apng": "image/apng",
    "atom": "application/atom+xml",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "br": "application/octet-stream",
    "bz2": "application/x-bzip2",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eot": "application/vnd.ms-fontobject",
    "epub": "application/epub+zip",
    "flac": "audio/flac",
    "geojson": "application/geo+json",
    "gif": "image/gif",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "gz": "application/gzip",
    "heic": "image/heic",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "jsonld": "application/ld+json",
    "jxl": "image/jxl",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "m4v": "video/mp4",
    "map": "application/json",
    "mid": "audio/midi",
    "mka": "audio/x-matroska",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "mpeg": "video/mpeg",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "ps": "application/postscript",
    "rar": "application/vnd.rar",
    "rss": "application/rss+xml",
    "rtf": "application/rtf",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "ttf": "font/ttf",
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xz": "application/x-xz",
    "zip": "application/zip",
    "zst": "application/zstd",
}

_TYPES = {name: f"{kind}; charset=utf-8" for name, kind in _TEXT.items()} | _OTHER


def content_type(path: str) -> str:
    """The value of ``Content-Type`` for a file of this name.

    `UNKNOWN` if its extension says nothing: a browser then saves the file and does not guess.
    """
    name = path[path.rfind("/") + 1 :]
    _, dot, extension = name.rpartition(".")
    return _TYPES.get(extension.lower(), UNKNOWN) if dot else UNKNOWN


# Beside text/*: what is text in all but name, and formats that are not compressed in themselves.
_COMPRESSIBLE = frozenset(
    {
        "application/json",
        "application/rtf",
        "application/postscript",
        "application/vnd.apple.mpegurl",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/xml",
        "application/yaml",
        "audio/midi",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/x-icon",
        "model/gltf-binary",
    }
)


def is_compressible(kind: str) -> bool:
    """Whether content of this type, as `content_type` gives it, tends to get shorter."""
    kind = kind.partition(";")[0]
    return kind.startswith("text/") or kind.endswith(("+xml", "+json")) or kind in _COMPRESSIBLE

"""A build: the folder with the Verilog, its memories, the network it came from, and a manifest that describes it."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import spikeloom
from amaranth.lib import data
from spikeloom import Network, NotBuilt, SpikeloomError
from spikeloom.placing.place import place
from spikeloom.placing.resources import core_blocks
from spikeloom.program.parameters import ParameterMemory, parameter_memories
from spikeloom.program.program import Program
from spikeloom.storage import canonical

from .axi.files import VERILOG as AXI_VERILOG
from .axi.files import wrapped
from .boards.board import find
from .core.chain import Chain
from .core.core import Core
from .export import TOP, verilog
from .link.spec import describe_link, reset_cycles
from .manifest import FORMAT_VERSION, MANIFEST, read, text_of

NETWORK = "network.loom"
VERILOG = "spikeloom.v"
WRAPPERS = ("streams", "axi")
MASKS = ("columns", "optional")  # of parameter memories


@dataclass(frozen=True)
class Build:
    """A generated design on disk.

    `folder` holds `spikeloom.v`, its `.mem` files, `network.loom` and `manifest.json`, whose content is `manifest`.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def network(self) -> Network:
        """The network the build was generated from; SpikeloomError where it is not the manifest's."""
        network = Network.load(self.folder / NETWORK)
        if network.digest != self.manifest["digest"]:
            raise SpikeloomError(
                f"Build '{self.folder}': {NETWORK} must have digest {self.manifest['digest'][:16]}, not "
                f"{network.digest[:16]}; generate it again"
            )
        return network

    @property
    def parameters(self) -> tuple[ParameterMemory, ...]:
        """The memories whose contents may change, in order of their numbers."""
        entries = self.manifest["parameters"]
        return tuple(ParameterMemory(**entry | {name: int(entry[name], 16) for name in MASKS}) for entry in entries)

    def require_unaltered(self) -> None:
        """Raise `SpikeloomError` naming every file that is not the one that was generated."""
        hashes = self.manifest.get("sha256", {})
        altered = [name for name, digest in hashes.items() if _sha256((self.folder / name).read_bytes()) != digest]
        if altered or not hashes:
            names = ", ".join(altered) or MANIFEST
            raise SpikeloomError(f"Build '{self.folder}': {names} must be as generated, not altered; generate it again")

    @classmethod
    def load(cls, folder: str | Path) -> "Build":
        """Open a build folder; SpikeloomError where it is not one, or of another version."""
        folder = Path(folder)
        manifest = read(folder)
        names = dict.fromkeys((VERILOG, NETWORK, manifest["wrapper"]["verilog"], *manifest["memories"]))
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise SpikeloomError(f"Build '{folder}': lacks {', '.join(missing)}; generate it again")
        return cls(folder, manifest)


def generate(
    network: Network,
    folder: str | Path,
    *,
    board: str = "none",
    lanes: int | None = None,
    cores: int | None = None,
    wrapper: str = "streams",
    contents: str = "fixed",
    program: Program | None = None,
) -> Build:
    """Generate the design of a network.

    Parameters
    ----------
    network : Network
    folder : where the build goes; made, or replaced if it holds a build already. Appears whole or not at all.
    board : name of a board the design must fit, or "none".
    lanes : lanes of every core; chosen where None.
    cores : number of cores; chosen where None.
    wrapper : "streams", the bare core, or "axi", a module around it for a SoC besides, see `axi.wrapper`.
    contents : whether weights and levels may change later, see `spikeloom.program.program.CorePlan`.
    program : where everything goes; placed where None.

    Raises
    ------
    NotBuilt, DoesNotFit, ToolError
        See `spikeloom.placing.place`, `export.verilog` and `axi.files.wrapped`; a sequence for a board or a wrapper.
    SpikeloomError
        Unknown board or wrapper, or a folder that cannot be written or holds something else.
    """
    folder = Path(folder)
    if wrapper not in WRAPPERS:
        raise SpikeloomError(f"Wrapper '{wrapper}': must be one of {', '.join(WRAPPERS)}")
    if wrapper == "axi" and contents == "loadable":
        raise SpikeloomError(
            "Wrapper 'axi': has no port to load parameters by; use --replaceable, or --wrapper streams"
        )
    capacity = None
    if board != "none":
        capacity = find(board).capacity(network)
    if (steps := network.inputs[0].sequence) and (capacity is not None or wrapper != "streams"):
        raise NotBuilt(
            f"Input '{network.inputs[0].name}': must be one value a neuron for a board or a wrapper, not a sequence of "
            f"{steps} time steps; use --board none and the core's own streams"
        )
    require_free(folder)
    if program is None:
        program = place(network, lanes=lanes, cores=cores, capacity=capacity, contents=contents)
    command = (
        f"spikeloom generate {network.name}.loom --board {board}"
        f"{'' if lanes is None else f' --lanes {lanes}'}{'' if cores is None else f' --cores {cores}'}"
        f"{'' if contents == 'fixed' else f' --{contents}'}{'' if wrapper == 'streams' else f' --wrapper {wrapper}'}"
    )
    files, manifest = made(program, board, command, wrapper)
    with appearing(folder) as temporary:
        write(temporary, files, network, manifest)
    return Build(folder, manifest)


def require_free(folder: Path) -> None:
    """Raise `SpikeloomError` where a folder holds something that is not a build: that is not replaced."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).is_file())):
        raise SpikeloomError(f"Build '{folder}': exists and is not a build; choose another folder with -o")


def made(program: Program, board: str, command: str, wrapper: str = "streams") -> tuple[dict[str, str], dict[str, Any]]:
    """The files of a build by name, and its manifest; `command` made it."""
    network = program.network
    header = (
        f"Spikeloom {spikeloom.__version__}: network '{network.name}', digest {network.digest}\n"
        f"Generated by `{command}`; edits are lost."
    )
    chain = Chain(program=program)
    code, memories = verilog(chain, header)
    files = {VERILOG: code, **memories}
    manifest = describe(chain, board, sorted(memories))
    manifest["sha256"] = {name: _sha256(content.encode()) for name, content in files.items()}
    manifest["link"]["build"] = build_id(network.digest, files)
    if wrapper == "axi":
        files[AXI_VERILOG], manifest["wrapper"] = wrapped(network.inputs[0], manifest, header)
        manifest["sha256"][AXI_VERILOG] = _sha256(files[AXI_VERILOG].encode())
    return files, manifest


def write(folder: Path, files: Mapping[str, str], network: Network, manifest: Mapping[str, Any]) -> None:
    """Write everything that makes a folder a build."""
    for name, content in files.items():
        (folder / name).write_text(content)
    network.save(folder / NETWORK)
    (folder / MANIFEST).write_text(text_of(manifest))


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `folder` at the end, unless filling it fails.

    Raises
    ------
    SpikeloomError
        It cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            yield temporary
            temporary.chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise SpikeloomError(f"Build '{folder}': cannot be written: {error.strerror}; choose another with -o") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def without_header(text: str) -> str:
    """A file without the comments on top, which name the network and the command that made it."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("//"))


def build_id(digest: str, files: Mapping[str, str]) -> str:
    """16 hexadecimal digits that name a build: its network, Verilog and memories, whatever command made them."""
    content = {"network": digest, "files": {name: _sha256(without_header(files[name]).encode()) for name in files}}
    return _sha256(canonical(content).encode())[:16]


def fields(layout: data.Layout) -> dict[str, list[int]]:
    """Fields of a word: name -> [offset, width] in bits, lowest first."""
    return {str(name): [field.offset, field.width] for name, field in layout}


def describe(chain: Chain, board: str, memories: list[str]) -> dict[str, Any]:
    """The manifest: everything a bench, a wrapper or a host needs to know, as plain JSON."""
    program = chain.program
    last = chain.specs[-1]
    readouts = [item for item in last.populations if item not in last.firing]  # in the order in which they are read
    event, potential = chain.i.payload.shape(), chain.o.payload.shape()
    family = "ecp5" if board == "none" else find(board).family
    parameters = () if program.contents == "fixed" else parameter_memories(program.network, program.cores)
    manifest = {
        "format": FORMAT_VERSION,
        "spikeloom": spikeloom.__version__,
        "network": program.network.name,
        "digest": program.network.digest,
        "board": board,
        "top": TOP,
        "verilog": VERILOG,
        "wrapper": {"kind": "streams", "top": TOP, "verilog": VERILOG},
        "sha256": {},
        "memories": memories,
        "lanes_total": program.lanes,
        "contents": program.contents,
        "parameters": [_parameter(item) for item in parameters],
        "ram_blocks": sum(core_blocks(program.network, core, family) for core in program.cores),  # as planned
        "input": {"population": program.network.inputs[0].name, "width": event.size, "fields": fields(event)},
        "readout": {
            "populations": [item.name for item in readouts],
            "outputs": [item.shape[0] for item in readouts],
            "potential_bits": program.cores[-1].bits,
            "fields": fields(potential),
            "class_bits": chain.o_class.payload.shape().width,
        },
        "link": describe_link(program, memories=len(parameters) if program.contents == "loadable" else 0),
        "cores": [describe_core(core) for core in chain.cores],
    }
    return json.loads(canonical(manifest))


def _parameter(memory: ParameterMemory) -> dict[str, Any]:
    """An entry of the manifest; masks are hexadecimal, for they are longer than what a JSON number holds."""
    return asdict(memory) | {name: f"{getattr(memory, name):x}" for name in MASKS}


def describe_core(core: Core) -> dict[str, Any]:
    """A core's entry of the manifest: its plan, and where benches observe it, by path from the top."""
    spec, plan, name = core.spec, core.spec.plan, core.spec.plan.name
    cells = plan.grid[0] * plan.grid[1]
    banks = [f"{name}.cells.cell{number}.data" for number in range(cells)]
    flags = ("swap", "filled", "accumulating", "waiting", "draining", "program")
    probes: dict[str, Any] = {flag: f"{name}.probe_{flag}" for flag in flags}
    probes["bank_kind"] = "register" if spec.in_registers else "memory"
    probes["banks"] = [f"{name}.probe_potentials"] if spec.in_registers else banks
    if spec.integrates:
        probes |= {"visit_valid": f"{name}.probe_visit", "visited": f"{name}.probe_visited"}
    if spec.firing:
        output = core.queued_layout
        probes |= {
            "retire_valid": f"{name}.probe_retire",
            "retire_remainder": f"{name}.probe_remainder",
            "spike": {
                "valid": f"{name}.probe_spike_valid",
                "ready": f"{name}.probe_spike_ready",
                "payload": f"{name}.probe_spike_payload",
                "width": output.size,
                "fields": fields(output),
            },
        }
    return {
        "name": name,
        "source": plan.source,
        "populations": [layer.population for layer in plan.layers],
        "lanes": plan.lanes,
        "grid": list(plan.grid),
        "width": plan.width,
        "bits": plan.bits,
        "generate_width": plan.generate_width,
        "queue_depth": plan.queue_depth,
        **{name: getattr(plan, name) for name in ("weight_bits", "store_width", "multiply", "inbox", "contents")},
        "stored": [asdict(item) for item in plan.stored],
        "rows": plan.rows,
        "weight_rows": len(spec.weight_rows),
        "reset_cycles": reset_cycles(plan),
        "layers": [
            {
                "population": layer.population,
                "spread": list(layer.spread),
                "groups": layer.groups,
                "blocks": list(layer.blocks),
                "rows": layer.rows,
            }
            for layer in plan.layers
        ],
        "probes": probes,
    }

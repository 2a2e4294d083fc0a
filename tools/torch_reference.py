"""The reference network of preset `reference` in PyTorch, to compare with; imported by tests and benchmarks.

Written from the description in the design notes. Its parameter names are those that `keras_unetpp.interop` reads.
"""

import torch
from torch import nn


class Encoder(nn.Module):
    """(conv 3x3, batch norm, ReLU) twice: (batch, inputs, height, width) -> (batch, outputs, height, width)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.Conv_forward = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The node's output."""
        return self.Conv_forward(x)


class Decoder(nn.Module):
    """(batch norm, ReLU, conv 3x3) twice: (batch, inputs, height, width) -> (batch, outputs, height, width)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.Conv_forward = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The node's output."""
        return self.Conv_forward(x)


class Reference(nn.Module):
    """UNet++ with a head for each level.

    Args:
        filters: widths of the rows, top first.
        channels: of the input.
        classes: channels of each head.
    """

    def __init__(self, filters: tuple[int, ...] = (64, 128, 256, 512, 1024), channels: int = 3, classes: int = 1,
                 ) -> None:  # fmt: skip
        super().__init__()
        self.depth = len(filters) - 1
        self.pool = nn.MaxPool2d(2)
        for row, width in enumerate(filters):
            self.add_module(f"stage_{row}", Encoder(filters[row - 1] if row else channels, width))
            for column in range(1, self.depth - row + 1):
                self.add_module(f"upsample_{row}_{column}", nn.ConvTranspose2d(filters[row + 1], width, 4, 2, 1))
                self.add_module(f"CONV{row}_{column}", Decoder((column + 1) * width, width))
        for level in range(1, self.depth + 1):
            head = nn.Sequential(
                nn.BatchNorm2d(filters[0]), nn.ReLU(inplace=True), nn.Conv2d(filters[0], classes, 3, padding=1)
            )
            self.add_module(f"final_super_0_{level}", head)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits `L1`..`Ld`, each (batch, classes, height, width), of images (batch, channels, height, width)."""
        nodes: dict[tuple[int, int], torch.Tensor] = {}
        for row in range(self.depth + 1):
            x = getattr(self, f"stage_{row}")(self.pool(x) if row else x)
            nodes[row, 0] = x
        for column in range(1, self.depth + 1):
            for row in range(self.depth - column + 1):
                up = getattr(self, f"upsample_{row}_{column}")(nodes[row + 1, column - 1])
                joined = torch.cat([up, *(nodes[row, skip] for skip in range(column))], dim=1)
                nodes[row, column] = getattr(self, f"CONV{row}_{column}")(joined)
        # A head rectifies in place after its batch norm, so the nodes themselves stay as they are.
        return {f"L{k}": getattr(self, f"final_super_0_{k}")(nodes[0, k]) for k in range(1, self.depth + 1)}

"""How far the two soft quantizers and the identity lie apart: python -m benchmarks.quantizers.

Worst case over one step away from the index limit, float64, in steps.
"""

import torch

from jpegdl.codec.quantizer import soft_quantize, soft_quantize_all_levels

HARDNESS = (0.05, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)


def main() -> None:
    u = torch.linspace(-0.5, 0.5, 200_001, dtype=torch.float64) + 3
    step = torch.ones(1, dtype=torch.float64)
    print("| h | five levels from all levels | all levels from the identity |\n|---|---|---|")
    for h in HARDNESS:
        alpha = torch.tensor([h], dtype=torch.float64)
        five, every = soft_quantize(u, step, alpha), soft_quantize_all_levels(u, step, alpha)
        print(f"| {h:g} | {(five - every).abs().max():.2g} | {(every - u).abs().max():.2g} |")


if __name__ == "__main__":
    main()

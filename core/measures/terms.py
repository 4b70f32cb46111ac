"""What a stored metric is called by those who read its number: in reports and sentences."""

TERMS = {
    "accuracy_at_half": "accuracy at 0.5",
    "f1": "F1",
    **{
        f"{name}_{mean}": f"{mean} {word}"
        for name, word in (
            ("f1", "F1"),
            ("precision", "precision"),
            ("recall", "recall"),
            ("specificity", "specificity"),
        )
        for mean in ("macro", "weighted", "micro")
    },
    "npv": "NPV",
    "ppv_even": "PPV at prevalence 50 %",
    "npv_even": "NPV at prevalence 50 %",
    "auc": "AUC",
    "kappa": "Cohen's kappa",
    "mcc": "Matthews correlation (MCC)",
    "brier": "Brier score",
    "ece": "expected calibration error (ECE)",
    "dice": "Dice",
    "iou": "IoU",
    "surface_dice": "surface Dice",
    "hd95_mm": "HD95 (mm)",
    "hd95_px": "HD95 (pixels)",
    "volume_bias_ml": "volume bias (ml)",
    "volume_error_percent": "volume error (%)",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "limit_low": "lower limit of agreement",
    "limit_high": "upper limit of agreement",
    "coverage": "coverage of its interval",
    "fid_like": "Fréchet distance to real images (fid_like)",
    "class_consistency": "drawn images of the class asked for",
    "judge_accuracy": "real images that the judge is right about",
    "memorised": "drawn images close to a training image (memorised)",
    "memorised_pixels": "drawn images close by pixels",
    "memorised_features": "drawn images close by features",
    "real_close": "real images as close to a training image",
}


def term(metric: str) -> str:
    """`accuracy at 0.5` of `accuracy_at_half`; a metric without a term of its own by its name."""
    return TERMS.get(metric, metric.replace("_", " "))
